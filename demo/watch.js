// SPDX-License-Identifier: Apache-2.0
// Tells of every request to the key provider, whichever player makes it: fetch and XMLHttpRequest are
// looked over, never changed.

// watch(door, tell): tell({method, path, status, asked, got}) after each request below the URL door;
// asked is the number of KIDs, got the number of keys. Status 0: no answer.
export function watch(door, tell) {
  watchFetch(door, tell);
  watchXhr(door, tell);
}

function ours(door, url) {
  return new URL(url, location.href).href.startsWith(door);
}

function report(tell, method, url, body, status, answer) {
  const path = new URL(url, location.href).pathname;
  tell({method, path, status, asked: count(body, 'kids') ?? 1, got: status === 200 ? count(answer, 'keys') ?? 1 : 0});
}

// How many members an array of a JSON document has; null when it is no such document.
function count(bytes, name) {
  try {
    const text = typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes);
    return JSON.parse(text)[name].length;
  } catch {
    return null;
  }
}

function watchFetch(door, tell) {
  const real = window.fetch;
  window.fetch = async function (input, init) {
    const url = input instanceof Request ? input.url : String(input);
    if (!ours(door, url)) {
      return real.call(this, input, init);
    }
    const method = init?.method ?? input.method ?? 'GET';
    try {
      const answer = await real.call(this, input, init);
      report(tell, method, url, init?.body, answer.status, await answer.clone().arrayBuffer());
      return answer;
    } catch (error) {
      report(tell, method, url, init?.body, 0, null);
      throw error;
    }
  };
}

function watchXhr(door, tell) {
  const {open, send} = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...more) {
    this.demoRequest = ours(door, url) ? {method, url} : null;
    return open.call(this, method, url, ...more);
  };
  XMLHttpRequest.prototype.send = function (body) {
    const request = this.demoRequest;
    if (request) {
      this.addEventListener('loadend', () => {
        const answer = this.responseType === 'json' ? JSON.stringify(this.response) : this.response;
        report(tell, request.method, request.url, body, this.status, answer);
      });
    }
    return send.call(this, body);
  };
}
