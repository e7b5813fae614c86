// What scripts find beside JavaScript, as far as it works on their own objects. It runs first, in the same context, and
// keeps what it needs for itself, so that a script that redefines globals only confuses itself.
(function (scope, reserved, now, random, note, laterOnes) {
  "use strict";
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const { parse: parseJson } = JSON;
  const hidden = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  const own = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);
  const isObject = (value) => value !== null && typeof value === "object";

  // Large values: read when they are looked at. From then on they are fields like any other.
  const asleep = new Map();
  const [sleeps, wakes, getter] = [asleep.set.bind(asleep), asleep.delete.bind(asleep), asleep.get.bind(asleep)];
  const later = (object, name, text) => {
    const keep = (value) => {
      wakes(get);
      defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
    };
    let read;
    const get = () => {
      if (read) return read.value;
      read = { value: parseJson(text) };
      wakes(get);
      try { keep(read.value); } catch { /* The object is frozen: it is the same value each time. */ }
      return read.value;
    };
    sleeps(get, true);
    defineProperty(object, name, { get, set: keep, enumerable: true, configurable: true });
  };
  for (const [part, name, text] of laterOnes) later(scope[part], name, text);

  // context, content, env
  const context = scope.context;
  for (const name of ["context", "content", "env"]) globalThis[name] = scope[name];

  // The two session stores: objects with their values as fields, and get, put, delete beside them.
  if (!isObject(context.session)) hidden(context, "session", {});
  const session = (name) => {
    if (!isObject(context.session)) context.session = {};
    if (!isObject(context.session[name])) context.session[name] = {};
    return context.session[name];
  };
  const methods = (name) => ({
    get: (key) => own(session(name), key),
    put: (key, value) => void (session(name)[key] = value),
    delete: (key) => void delete session(name)[key],
  });
  for (const name of ["BotUserSession", "UserSession"]) {
    const values = session(name);
    const store = Object.create(Object.prototype);
    for (const [method, run] of Object.entries(methods(name))) hidden(store, method, run);
    Object.setPrototypeOf(values, store);
    hidden(globalThis, name, values);
    hidden(context, name, values);
  }
  Object.assign(globalThis.userSessionUtils, methods("UserSession"));

  // Flow variables
  globalThis.setCallFlowVariable = (name, value) => {
    if (reserved.includes(String(name))) note(`setCallFlowVariable: \`${name}\` is no name for a variable`);
    else context[name] = value;
  };
  globalThis.getCallFlowVariable = (name) => own(context, name);
  globalThis.getChildBotContextById = (id) => {
    const children = context.childBotsContext;
    return isObject(children) ? own(children, id) : undefined;
  };

  // The same numbers for the same call.
  hidden(Math, "random", random);

  // A clock that stands still at the call's moment, in UTC wherever the server is.
  const Native = Date;
  const dates = Native.prototype;
  const parse = (text) => {
    const hasZone = /(?:Z|GMT|UTC|[+-]\d\d:?\d\d)\s*(?:\([^)]*\))?$/i.test(text);
    const isDay = /^[+-]?\d{4,6}(?:-\d\d){0,2}$/.test(text);
    if (hasZone || isDay) return Native.parse(text);
    const iso = Native.parse(`${text}Z`);
    return Number.isNaN(iso) ? Native.parse(`${text} UTC`) : iso;
  };
  const moment = (values) => {
    if (values.length === 0) return now;
    if (values.length > 1) return Native.UTC(...values);
    const value = values[0] instanceof Native ? values[0].getTime() : values[0];
    return typeof value === "string" ? parse(value) : Number(value);
  };
  const Clock = function Date(...values) {
    if (!new.target) return new Clock().toString();
    return Reflect.construct(Native, [moment(values)], new.target);
  };
  Object.defineProperty(Clock, "prototype", { value: dates, writable: false });
  Object.defineProperty(Clock, "length", { value: 7 });
  hidden(Clock, "now", () => now);
  hidden(Clock, "UTC", Native.UTC);
  hidden(Clock, "parse", (text) => parse(String(text)));
  hidden(dates, "constructor", Clock);
  hidden(globalThis, "Date", Clock);
  const parts = ["FullYear", "Month", "Date", "Hours", "Minutes", "Seconds", "Milliseconds"];
  for (const part of parts) {
    hidden(dates, `get${part}`, dates[`getUTC${part}`]);
    hidden(dates, `set${part}`, dates[`setUTC${part}`]);
  }
  hidden(dates, "getDay", dates.getUTCDay);
  hidden(dates, "getTimezoneOffset", function () { return Number.isNaN(this.getTime()) ? NaN : 0; });
  const utc = dates.toUTCString; // "Sun, 29 Nov 2026 18:34:56 GMT"
  const printed = (print) => function () {
    return Number.isNaN(this.getTime()) ? "Invalid Date" : print(this, utc.call(this).split(" "));
  };
  const day = (at, [week, date, month, year]) => `${week.slice(0, -1)} ${month} ${date} ${year}`;
  const time = (at, words) => `${words[4]} GMT+0000 (UTC)`;
  const two = (number) => String(number).padStart(2, "0");
  const localDay = (at) => `${at.getUTCMonth() + 1}/${at.getUTCDate()}/${at.getUTCFullYear()}`;
  const localTime = (at) => {
    const [hours, rest] = [at.getUTCHours(), `${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`];
    return `${hours % 12 || 12}:${rest} ${hours < 12 ? "AM" : "PM"}`;
  };
  hidden(dates, "toString", printed((at, words) => `${day(at, words)} ${time(at, words)}`));
  hidden(dates, "toDateString", printed(day));
  hidden(dates, "toTimeString", printed(time));
  hidden(dates, "toLocaleDateString", printed(localDay));
  hidden(dates, "toLocaleTimeString", printed(localTime));
  hidden(dates, "toLocaleString", printed((at) => `${localDay(at)}, ${localTime(at)}`));

  return (name) => {
    const get = getOwnPropertyDescriptor(context, name)?.get;
    return get !== undefined && getter(get) === true;
  };
})
