// The few words the page builds elements with. Text only ever becomes text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (`class`, `on: {event: handler}`, attributes; false and null leave out) and children. */
export function el(name, properties = {}, ...children) {
  return build(document.createElement(name), properties, children);
}

/** The same for SVG. */
export function svg(name, properties = {}, ...children) {
  return build(document.createElementNS(SVG, name), properties, children);
}

function build(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  for (const [event, handler] of Object.entries(on)) node.addEventListener(event, handler);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets the text, touching the page only where it differs. */
export function text(node, value) {
  const wanted = value ?? "";
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Sets an attribute, or removes it (null, undefined, false); touches the page only where it differs. */
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else {
    const wanted = value === true ? "" : String(value);
    if (node.getAttribute(name) !== wanted) node.setAttribute(name, wanted);
  }
}

/** Text for screen readers only. */
export function spoken(...children) {
  return el("span", { class: "spoken" }, ...children);
}

/** Runs `act` once, on the next frame, however often it is asked for. */
export function eachFrame(act) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // A page in the background gets no frames, yet its title must go on.
    const run = () => {
      asked = false;
      act();
    };
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  };
}

/** Runs `act` once `ms` have passed without being asked for again. */
export function afterPause(ms, act) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), ms);
  };
}
