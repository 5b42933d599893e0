/** What the browser gets at `/`. Plain HTML, CSS and JavaScript; the console will replace it. */

export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Concordat</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/assets/page.css">
</head>
<body>
  <noscript>This page needs JavaScript; the API at /graphql does not.</noscript>
  <main id="door" hidden>
    <h1>Concordat</h1>
    <p id="why">Massive model serving under agreements.</p>
    <form id="form">
      <label id="name-row" hidden>Your name <input name="name" autocomplete="name" maxlength="200"></label>
      <label id="email-row">Email <input name="email" type="email" autocomplete="username" required></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
      <p id="problem" role="alert"></p>
    </form>
    <p class="small"><a href="/schema.graphql">schema.graphql</a></p>
  </main>
  <div id="room" hidden>
    <header>
      <strong>Concordat</strong>
      <label>Tenant <select id="tenant"></select></label>
      <span id="who"></span>
      <button id="join" hidden>Accept the invitation</button>
      <button id="out">Sign out</button>
    </header>
    <div id="graphiql">Loading…</div>
  </div>
  <script src="/assets/page.js"></script>
</body>
</html>
`;

export const PAGE_STYLE = `
[hidden] { display: none !important; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; }
#door { max-width: 22rem; margin: 12vh auto; padding: 2rem; background: #fff; border-radius: 10px; box-shadow: 0 2px 20px #0002; }
#door h1 { margin: 0 0 .25rem; }
#door label { display: block; margin: 1rem 0; font-size: .9rem; }
#door input { display: block; width: 100%; padding: .55rem; margin-top: .2rem; font: inherit; border: 1px solid #aab4bf; border-radius: 6px; }
button { font: inherit; padding: .4rem 1rem; border: 0; border-radius: 6px; color: #fff; background: #1f5fbf; cursor: pointer; }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 3px solid #f5b301; outline-offset: 1px; }
#problem { color: #a4161a; min-height: 1.5em; margin: .8rem 0 0; }
.small { font-size: .85rem; }
#room { position: fixed; inset: 0; display: flex; flex-direction: column; overflow: hidden; }
#room header { display: flex; gap: 1rem; align-items: center; padding: .4rem 1rem; background: #fff; border-bottom: 1px solid #d5dbe1; }
#room select { font: inherit; padding: .2rem; }
#who { margin-left: auto; font-size: .9rem; }
#graphiql { position: relative; flex: 1; min-height: 0; overflow: hidden; }
#graphiql .graphiql-container { height: 100%; width: 100%; }
#graphiql > * { height: 100% !important; width: 100% !important; }
`;

const FIRST_QUERY = `# Concordat's API. What you can ask for is in the
# documentation explorer (top left) and in /schema.graphql.
#
# Lists are pages:
#   { members { nodes { email } pageInfo { endCursor } } }
# A mutation answers with its payload or with a refusal,
# which says why, and what to do:
#   mutation {
#     createApplication(input: { name: "Web shop" }) {
#       ... on CreateApplicationPayload { application { id } }
#       ... on Refusal { code message remedy field }
#     }
#   }
# Ctrl-Enter runs the query under the cursor.

query WhoAmI {
  viewer {
    account { email name operator }
    tenantId
    memberships { tenantId tenantName role }
    permissions
  }
}
`;

export const PAGE_SCRIPT = `'use strict';
const $ = (id) => document.getElementById(id);
const invitation = new URLSearchParams(location.hash.slice(1)).get('invitation');

async function ask(query, variables) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message + ' ' + (errors[0].extensions.remedy || ''));
  return data;
}
async function change(name, input, selection) {
  const type = name[0].toUpperCase() + name.slice(1);
  const data = await ask('mutation ($input: ' + type + 'Input!) { result: ' + name + '(input: $input) { ... on '
    + type + 'Payload { ' + selection + ' } ... on Refusal { code message remedy } } }', { input });
  if (data.result.code) throw new Error(data.result.message + ' ' + data.result.remedy);
  return data.result;
}
const VIEWER = '{ viewer { tenantId account { email operator } memberships { tenantId tenantName role } } }';

function showDoor() {
  $('room').hidden = true;
  $('door').hidden = false;
  if (invitation) {
    $('why').textContent = 'You are invited. Choose a password of at least 12 characters; if you have an account, sign in with it.';
    $('name-row').hidden = false;
    $('email-row').firstChild.textContent = 'Email (as invited) ';
    $('form').querySelector('button').textContent = 'Join';
  }
}
$('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { name, email, password } = Object.fromEntries(new FormData($('form')));
  const button = $('form').querySelector('button');
  $('problem').textContent = '';
  button.disabled = true;
  try {
    if (invitation && name) {
      await change('acceptInvitation', { token: invitation, name, password }, 'tenantId');
      history.replaceState(null, '', '/');
    }
    await change('signIn', { email, password }, 'expiresAt');
    await enter();
  } catch (problem) {
    $('problem').textContent = problem.message;
  } finally {
    button.disabled = false;
  }
});
$('out').addEventListener('click', async () => {
  await ask('mutation { signOut { __typename } }').catch(() => undefined);
  location.reload();
});
$('join').addEventListener('click', async () => {
  try {
    const { tenantId } = await change('acceptInvitation', { token: invitation }, 'tenantId');
    history.replaceState(null, '', '/');
    await change('switchTenant', { tenantId }, 'tenant { id }');
    location.reload();
  } catch (problem) {
    alert(problem.message);
  }
});
$('tenant').addEventListener('change', async () => {
  await change('switchTenant', { tenantId: $('tenant').value }, 'tenant { id }');
  location.reload();
});

function load(name) {
  return new Promise((resolve, reject) => {
    const css = name.endsWith('.css');
    const element = document.createElement(css ? 'link' : 'script');
    if (css) Object.assign(element, { rel: 'stylesheet', href: '/assets/' + name });
    else element.src = '/assets/' + name;
    element.onload = resolve;
    element.onerror = reject;
    document.head.append(element);
  });
}
let drawn = false;
async function enter() {
  const { viewer } = await ask(VIEWER);
  if (!viewer || !viewer.account) return showDoor();
  $('door').hidden = true;
  $('room').hidden = false;
  $('who').textContent = viewer.account.email + (viewer.account.operator ? ' (operator)' : '');
  $('join').hidden = !new URLSearchParams(location.hash.slice(1)).get('invitation');
  $('tenant').replaceChildren(
    ...(viewer.memberships.some((one) => one.tenantId === viewer.tenantId) ? [] : [new Option(viewer.account.operator ? 'the platform' : 'choose…', '')]),
    ...viewer.memberships.map((one) => new Option(one.tenantName + ' (' + one.role + ')', one.tenantId, false, one.tenantId === viewer.tenantId)),
  );
  if (drawn) return;
  drawn = true;
  const workers = { editorWorkerService: 'editor', json: 'json', graphql: 'graphql' };
  self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (id, label) => '/assets/' + (workers[label] || 'editor') + '.worker.js' };
  await Promise.all([load('graphiql.css'), load('graphiql.js')]);
  YogaGraphiQL.renderYogaGraphiQL($('graphiql'), {
    title: 'Concordat', endpoint: '/graphql', credentials: 'same-origin', subscriptionsProtocol: 'WS',
    defaultQuery: ${JSON.stringify(FIRST_QUERY)},
  });
}
enter().catch(showDoor);
`;
