// Sets the theme before the first paint: what was chosen here, else what the system prefers.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('guildhall.theme');
  } catch {
    // Storage may be forbidden; the system's preference then stands.
  }
  const dark =
    chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
// Where the dialogs' library looks for the nonce of the styles that it adds.
globalThis.__webpack_nonce__ = document.querySelector('meta[property="csp-nonce"]')?.nonce;
