/**
 * Kinds of fields. Each checks a value, turns it into what goes over the wire, and packs that.
 */

import { Packer } from "./wire.js";

/**
 * @template T
 * @typedef {object} Kind
 * @property {(value: unknown, path: string) => T} read throws a `Wrong`
 * @property {(value: T, packer: Packer) => void} pack
 */

/**
 * @typedef {object} Field
 * @property {Kind<any>} kind
 * @property {unknown} otherwise what it is when it is left out; undefined: it is needed
 */

/** @typedef {Record<string, any>} Fields */

const SHOWN = 60;

/** A value that a field cannot have: which field, what was expected, what came. */
export class Wrong extends Error {
  /**
   * @param {string} field
   * @param {string} expected
   * @param {unknown} [got]
   */
  constructor(field, expected, got) {
    super(`expected ${expected}, got ${shown(got)}`);
    this.field = field;
  }
}

/** @param {unknown} value */
function shown(value) {
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (typeof value === "number" || value === undefined) return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/**
 * @param {number} least
 * @param {number} most
 * @returns {Kind<number>}
 */
export function int(least, most) {
  return {
    read(value, path) {
      if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
        return value;
      }
      throw new Wrong(path, `a whole number from ${least} to ${most}`, value);
    },
    pack: (value, packer) => packer.int(value),
  };
}

/**
 * @param {number} least
 * @param {number} most
 * @param {boolean} [isAbove] `least` itself is too little
 * @returns {Kind<number>}
 */
export function float(least, most, isAbove = false) {
  return {
    read(value, path) {
      const fits = typeof value === "number" && value >= least && value <= most;
      if (fits && !(isAbove && value === least)) return value;
      throw new Wrong(path, `a number ${isAbove ? "above" : "from"} ${least} to ${most}`, value);
    },
    pack: (value, packer) => packer.float(value),
  };
}

/**
 * @param {number} least characters
 * @param {number} most
 * @returns {Kind<string>}
 */
export function text(least, most) {
  return {
    read(value, path) {
      if (typeof value !== "string") throw new Wrong(path, "a text", value);
      const length = value.length <= most ? value.length : [...value].length;
      if (length >= least && length <= most) return value;
      throw new Wrong(path, `${least} to ${most} characters`, length);
    },
    pack: (value, packer) => packer.text(value),
  };
}

/**
 * @param {string[]} words
 * @returns {Kind<string>}
 */
export function oneOf(...words) {
  return {
    read(value, path) {
      if (typeof value === "string" && words.includes(value)) return value;
      throw new Wrong(path, `one of ${words.join(", ")}`, value);
    },
    pack: (value, packer) => packer.text(value),
  };
}

/** @type {Kind<boolean>} */
export const bool = {
  read(value, path) {
    if (typeof value === "boolean") return value;
    throw new Wrong(path, "true or false", value);
  },
  pack: (value, packer) => packer.bool(value),
};

/**
 * Bytes, copied: the caller may go on writing into them.
 * @param {number} most
 * @returns {Kind<Uint8Array>}
 */
export function bytes(most) {
  return {
    read(value, path) {
      if (!ArrayBuffer.isView(value)) throw new Wrong(path, "an array of bytes", value);
      if (value.byteLength > most) throw new Wrong(path, `at most ${most} bytes`, value);
      return Buffer.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    },
    pack: (value, packer) => packer.bytes(value),
  };
}

/**
 * @template T
 * @param {Kind<T>} item
 * @param {number} least
 * @param {number} most
 * @returns {Kind<T[]>}
 */
export function list(item, least, most) {
  return {
    read(value, path) {
      if (!Array.isArray(value)) throw new Wrong(path, "a list", value);
      if (value.length < least || value.length > most) {
        const span = least === most ? `${most}` : `${least} to ${most}`;
        throw new Wrong(path, `${span} items`, value.length);
      }
      return value.map((each, index) => item.read(each, `${path}[${index}]`));
    },
    pack(value, packer) {
      packer.list(value.length);
      for (const each of value) item.pack(each, packer);
    },
  };
}

/**
 * A `Map` or an object.
 * @template T
 * @param {Kind<string>} key
 * @param {Kind<T>} item
 * @param {number} most
 * @returns {Kind<Map<string, T>>}
 */
export function map(key, item, most) {
  return {
    read(value, path) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new Wrong(path, "a map", value);
      }
      const entries = value instanceof Map ? [...value] : Object.entries(value);
      if (entries.length > most) throw new Wrong(path, `at most ${most} items`, entries.length);
      return new Map(
        entries.map(([name, each]) => [key.read(name, path), item.read(each, `${path}[...]`)]),
      );
    },
    pack(value, packer) {
      packer.map(value.size);
      for (const [name, each] of value) {
        key.pack(name, packer);
        item.pack(each, packer);
      }
    },
  };
}

/**
 * A text, or more than that.
 * @param {Kind<string>} plain
 * @param {Kind<Fields>} full
 * @returns {Kind<string | Fields>}
 */
export function either(plain, full) {
  return {
    read: (value, path) => (typeof value === "string" ? plain : full).read(value, path),
    pack: (value, packer) =>
      typeof value === "string" ? plain.pack(value, packer) : full.pack(value, packer),
  };
}

/**
 * A map of known fields, `gain_db` or `gainDb`; those at their default are left out on the wire.
 * @param {Record<string, Field>} fields
 * @param {string} [type] of the message, if it is one
 * @returns {Kind<Fields>}
 */
export function struct(fields, type) {
  const spellings = new Map(
    Object.keys(fields).flatMap((name) => [[name, name], [camel(name), name]]),
  );
  return {
    read(value, path) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new Wrong(path, "an object", value);
      }
      /** @type {Fields} */
      const given = {};
      for (const [spelling, each] of Object.entries(value)) {
        const name = spellings.get(spelling);
        if (name === undefined) {
          throw new Wrong(join(path, spelling), `one of ${Object.keys(fields).join(", ")}`, each);
        }
        given[name] = each;
      }
      /** @type {Fields} */
      const read = type === undefined ? {} : { type };
      for (const [name, { kind, otherwise }] of Object.entries(fields)) {
        const each = given[name];
        const isLeftOut = each === undefined || (each === null && otherwise === null);
        if (isLeftOut && otherwise === undefined) throw new Wrong(join(path, name), "a value");
        read[name] = isLeftOut ? otherwise : kind.read(each, join(path, name));
      }
      return read;
    },
    pack(value, packer) {
      const said = Object.entries(fields).filter(
        ([name, { otherwise }]) => !isSame(value[name], otherwise),
      );
      packer.map(said.length + (type === undefined ? 0 : 1));
      if (type !== undefined) {
        packer.text("type");
        packer.text(type);
      }
      for (const [name, { kind }] of said) {
        packer.text(name);
        kind.pack(value[name], packer);
      }
    },
  };
}

/**
 * @param {Kind<any>} kind
 * @returns {Field}
 */
export function needed(kind) {
  return { kind, otherwise: undefined };
}

/**
 * @param {Kind<any>} kind
 * @param {unknown} otherwise
 * @returns {Field}
 */
export function or(kind, otherwise) {
  return { kind, otherwise };
}

/** @param {string} name */
export function camel(name) {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

/**
 * @param {string} path
 * @param {string} name
 */
function join(path, name) {
  return path === "" ? name : `${path}.${name}`;
}

/**
 * @param {unknown} value
 * @param {unknown} other
 */
function isSame(value, other) {
  if (Array.isArray(value) && Array.isArray(other)) {
    return value.length === other.length && value.every((each, index) => each === other[index]);
  }
  if (value instanceof Map && other instanceof Map) return value.size === 0 && other.size === 0;
  return value === other;
}
