// SPDX-License-Identifier: Apache-2.0
'use strict';
// Verifies AWS Signature Version 4 as the receiving side of execute-api does, from the algorithm as AWS
// publishes it ("Create a signed AWS API request"). Knows nothing of the package that signs in these tests.
const crypto = require('node:crypto');

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SKEW = 5 * 60 * 1000; // milliseconds that the two clocks may differ

const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text, 'utf8').digest();

class Refused extends Error {}

function refuse(message) {
  throw new Refused(message);
}

// Everything but the unreserved characters of RFC 3986.
function encode(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
}

// The path as it came, which is encoded once, without dot segments and empty ones; each segment is then
// encoded again. (Only S3 does neither.)
function canonicalUri(path) {
  const segments = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(encode(segment));
  }
  return '/' + segments.join('/') + (segments.length > 0 && path.endsWith('/') ? '/' : '');
}

// Decoded, encoded anew, sorted by name and then by value.
function canonicalQuery(query) {
  if (!query) return '';
  const decode = (text) => encode(decodeURIComponent(text));
  return query
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [decode(pair), ''] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
    })
    .sort((a, b) => (a[0] === b[0] ? compare(a[1], b[1]) : compare(a[0], b[0])))
    .map((pair) => pair.join('='))
    .join('&');
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// headers: [[name, value]] as they came; values of one name are joined in their order.
function canonicalHeaders(headers, signed) {
  const values = new Map();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    values.set(key, [...(values.get(key) || []), value.trim().replace(/ +/g, ' ')]);
  }
  return signed
    .map((name) => {
      if (!values.has(name)) refuse(`The header ${name} is signed, and was not sent.`);
      return `${name}:${values.get(name).join(',')}\n`;
    })
    .join('');
}

function parseAuthorization(value) {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})$/.exec(
      value,
    );
  if (!match) refuse('Authorization header is not of the form of Signature Version 4.');
  const [, accessKey, date, region, service, signed, signature] = match;
  return { accessKey, date, region, service, signed: signed.split(';'), signature };
}

// YYYYMMDD'T'HHMMSS'Z' in milliseconds.
function parseDate(text) {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text || '');
  if (!match) refuse('X-Amz-Date is missing or not of the form YYYYMMDDTHHMMSSZ.');
  const [, year, month, day, hour, minute, second] = match.map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function canonicalRequest(request, signed, payloadHash) {
  const at = request.target.indexOf('?');
  const path = at < 0 ? request.target : request.target.slice(0, at);
  const query = at < 0 ? '' : request.target.slice(at + 1);
  return [
    request.method,
    canonicalUri(path),
    canonicalQuery(query),
    canonicalHeaders(request.headers, signed),
    signed.join(';'),
    payloadHash,
  ].join('\n');
}

function signatureOf(secret, scope, time, canonical) {
  const [date, region, service] = scope;
  const key = [region, service, 'aws4_request'].reduce(hmac, hmac('AWS4' + secret, date));
  const text = [ALGORITHM, time, [...scope, 'aws4_request'].join('/'), sha256(canonical)].join('\n');
  return hmac(key, text).toString('hex');
}

function sameText(a, b) {
  const [left, right] = [Buffer.from(String(a)), Buffer.from(String(b))];
  return left.length === right.length && crypto.timingSafeEqual(left, right);
}

// host and what tells the request apart must be covered, or it could be changed on the way.
function checkSigned(signed, names) {
  const sorted = [...signed].sort(compare);
  if (signed.some((name, index) => name !== sorted[index] || name !== name.toLowerCase()))
    refuse('SignedHeaders must be in lower case and in order.');
  const must = ['host', ...names.filter((name) => name.startsWith('x-amz-'))];
  const missing = must.filter((name) => !signed.includes(name));
  if (missing.length > 0) refuse(`These headers must be signed: ${missing.join(', ')}.`);
}

// request: {method, target, headers: [[name, value]], body: Buffer}. keys: {access key: {secret, token,
// arn}}. expected: {region, service}, now in milliseconds. Returns the entry of keys; throws Refused.
function verify(request, keys, expected, now) {
  const headers = new Map(request.headers.map(([name, value]) => [name.toLowerCase(), value]));
  if (!headers.has('authorization')) refuse('Missing Authentication Token');
  const given = parseAuthorization(headers.get('authorization'));
  const time = headers.get('x-amz-date');
  const moment = parseDate(time);
  if (time.slice(0, 8) !== given.date) refuse('Date in Credential scope does not match X-Amz-Date.');
  if (given.region !== expected.region || given.service !== expected.service)
    refuse(`Credential should be scoped to ${expected.region}/${expected.service}.`);
  if (moment < now - SKEW) refuse('Signature expired.');
  if (moment > now + SKEW) refuse('Signature not yet current.');
  checkSigned(given.signed, [...headers.keys()]);

  const known = Object.hasOwn(keys, given.accessKey) ? keys[given.accessKey] : null;
  if (!known || !sameText(headers.get('x-amz-security-token') || '', known.token || ''))
    refuse('The security token included in the request is invalid.');

  const payloadHash = sha256(request.body);
  const stated = headers.get('x-amz-content-sha256');
  if (stated !== undefined && stated !== payloadHash) refuse('X-Amz-Content-Sha256 is not that of the body.');
  const canonical = canonicalRequest(request, given.signed, payloadHash);
  const scope = [given.date, given.region, given.service];
  if (!sameText(signatureOf(known.secret, scope, time, canonical), given.signature))
    refuse('The request signature we calculated does not match the signature you provided.');
  return known;
}

module.exports = { verify, Refused, canonicalUri, canonicalQuery, canonicalRequest, signatureOf, sha256 };
