// Signs in by the code behind the `#` of a link, which no server and no log ever sees in an address.

const form = document.getElementById('by-code');
const field = document.getElementById('code');

function take() {
  const code = location.hash.slice(1);
  if (!code || !(form instanceof HTMLFormElement) || !(field instanceof HTMLInputElement)) return;
  history.replaceState(null, '', location.pathname + location.search);
  field.value = code;
  form.submit();
}

take();
// A link that is pasted where this view is open already loads nothing.
addEventListener('hashchange', take);
