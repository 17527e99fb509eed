drop table ws_tickets, rate_limits;
