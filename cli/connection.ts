/** A connection: the client of the SDK, and the stream of events, at one place. */
import { type Api, createClient } from '../sdk/client.ts';
import { type FollowOptions, followEvents, type LiveEvent } from '../sdk/events.ts';
import type { Place } from './places.ts';

export interface Connection {
  api: Api;
  place: Place;
  events(options: FollowOptions): AsyncGenerator<LiveEvent>;
}

export function connectTo(place: Place): Connection {
  return { api: createClient(place), place, events: options => followEvents(place, options) };
}
