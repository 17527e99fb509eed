/** Builds the page into web/dist; in development, requests to the API go to a server on its usual port. */
import { join } from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = 'http://127.0.0.1:4000';
const paths = ['/api', '/docs', '/livez', '/readyz', '/version'];

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwindcss()],
  build: {
    outDir: join(import.meta.dirname, 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the server allows no data: scripts or fonts, and files are cached by their hash anyway.
    assetsInlineLimit: 0,
  },
  server: {
    host: '127.0.0.1',
    port: 4010,
    proxy: Object.fromEntries(paths.map(path => [path, { target: server, changeOrigin: true }])),
  },
});
