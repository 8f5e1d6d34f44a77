// Signs in by the code behind the `#` of a link, which no server and no log ever sees in an address.

const code = location.hash.slice(1);
const form = document.getElementById('by-code');
const field = document.getElementById('code');
if (code && form instanceof HTMLFormElement && field instanceof HTMLInputElement) {
  history.replaceState(null, '', location.pathname + location.search);
  field.value = code;
  form.submit();
}
