// Making elements of the page.

/**
 * An element with attributes, properties (such as `onclick`, `textContent`) and children.
 *
 * Text goes in as text: what a bundle or a desk says never becomes markup.
 */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const find = (id) => document.getElementById(id);
