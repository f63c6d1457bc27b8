// Serves the files of GraphiQL's packages over HTTPS as the page asks its usual host for them: node graphiql_files.mjs
// KEY CERTIFICATE. Prints its port. The page takes exactly the files whose hashes it knows.
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';

const [key, cert] = process.argv.slice(2).map(file => readFileSync(file));
const types = { css: 'text/css', js: 'text/javascript' };

const server = createServer({ key, cert }, (request, response) => {
  const found = /^\/npm\/([a-z-]+)@([0-9.]+)\/([a-z./-]+\.(css|js))$/.exec(request.url);
  const [, name, version, path, kind] = found ?? [];
  try {
    if (!found || path.includes('..')) throw new Error('no such file');
    const folder = `node_modules/${name}`;
    if (JSON.parse(readFileSync(`${folder}/package.json`)).version !== version) throw new Error('another version');
    response.writeHead(200, { 'content-type': types[kind], 'access-control-allow-origin': '*' });
    response.end(readFileSync(`${folder}/${path}`));
  } catch (error) {
    console.error(request.url, String(error));
    response.writeHead(404).end();
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
