/**
 * MessagePack, as much of it as the bridge needs: every header as short as it can be, every float
 * in 64 bits. (Encoders that look at a number's value alone would send 1.0 as an int.)
 */

const FIRST_SIZE = 256;

/** Bytes that grow. */
export class Packer {
  #data = Buffer.allocUnsafe(FIRST_SIZE);
  #end = 0;

  /** @returns {Buffer} what was packed */
  get data() {
    return this.#data.subarray(0, this.#end);
  }

  nil() {
    this.#byte(0xc0);
  }

  /** @param {boolean} value */
  bool(value) {
    this.#byte(value ? 0xc3 : 0xc2);
  }

  /** @param {number} value a whole number from 0 to 2^53 - 1 */
  int(value) {
    if (value < 0x80) this.#byte(value);
    else if (value <= 0xffffffff) this.#size(value, 0xcc, 0xcd, 0xce);
    else {
      const at = this.#take(0xcf, 8);
      this.#data.writeBigUInt64BE(BigInt(value), at);
    }
  }

  /** @param {number} value */
  float(value) {
    const at = this.#take(0xcb, 8);
    this.#data.writeDoubleBE(value, at);
  }

  /** @param {string} value */
  text(value) {
    const length = Buffer.byteLength(value);
    if (length < 32) this.#byte(0xa0 | length);
    else this.#size(length, 0xd9, 0xda, 0xdb);
    this.#room(length);
    this.#end += this.#data.write(value, this.#end);
  }

  /** @param {Uint8Array} value */
  bytes(value) {
    this.#size(value.length, 0xc4, 0xc5, 0xc6);
    this.#room(value.length);
    this.#data.set(value, this.#end);
    this.#end += value.length;
  }

  /** @param {number} length of the list whose items come next */
  list(length) {
    if (length < 16) this.#byte(0x90 | length);
    else this.#size16(length, 0xdc);
  }

  /** @param {number} length of the map whose keys and values come next */
  map(length) {
    if (length < 16) this.#byte(0x80 | length);
    else this.#size16(length, 0xde);
  }

  /** @param {number} value */
  #byte(value) {
    this.#room(1);
    this.#data[this.#end++] = value;
  }

  /**
   * @param {number} value
   * @param {number} head8
   * @param {number} head16
   * @param {number} head32
   */
  #size(value, head8, head16, head32) {
    if (value <= 0xff) {
      this.#byte(head8);
      this.#byte(value);
    } else if (value <= 0xffff) {
      this.#size16(value, head16);
    } else {
      const at = this.#take(head32, 4);
      this.#data.writeUInt32BE(value, at);
    }
  }

  /**
   * @param {number} value
   * @param {number} head
   */
  #size16(value, head) {
    const at = this.#take(head, 2);
    this.#data.writeUInt16BE(value, at);
  }

  /**
   * Write `head` and leave room for `length` bytes; the room may be in another buffer than before.
   * @param {number} head
   * @param {number} length
   * @returns {number} where they go
   */
  #take(head, length) {
    this.#byte(head);
    this.#room(length);
    this.#end += length;
    return this.#end - length;
  }

  /** @param {number} length */
  #room(length) {
    if (this.#end + length <= this.#data.length) return;
    const grown = Buffer.allocUnsafe(2 * (this.#end + length));
    this.#data.copy(grown, 0, 0, this.#end);
    this.#data = grown;
  }
}

/**
 * Read one value; maps become objects without a prototype, what has no meaning here undefined.
 * @param {Uint8Array} data
 * @returns {unknown}
 * @throws {RangeError} `data` is not one MessagePack value
 */
export function unpack(data) {
  const reader = new Reader(data);
  const value = reader.value();
  if (reader.at !== data.length) throw new RangeError("expected one value, got more");
  return value;
}

class Reader {
  at = 0;
  #data;
  #view;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.length);
    this.#view = new DataView(data.buffer, data.byteOffset, data.length);
  }

  /** @returns {unknown} */
  value() {
    const head = this.#view.getUint8(this.at++);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f);
    if (head < 0xa0) return this.#list(head & 0x0f);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.#bytes(this.#uint(head - 0xc4));
      case 0xc7: case 0xc8: case 0xc9: return this.#extension(this.#uint(head - 0xc7));
      case 0xca: return this.#view.getFloat32(this.#skip(4));
      case 0xcb: return this.#view.getFloat64(this.#skip(8));
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return this.#uint(head - 0xcc);
      case 0xd0: return this.#view.getInt8(this.#skip(1));
      case 0xd1: return this.#view.getInt16(this.#skip(2));
      case 0xd2: return this.#view.getInt32(this.#skip(4));
      case 0xd3: return Number(this.#view.getBigInt64(this.#skip(8)));
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
        return this.#extension(1 << (head - 0xd4));
      case 0xd9: case 0xda: case 0xdb: return this.#text(this.#uint(head - 0xd9));
      case 0xdc: case 0xdd: return this.#list(this.#uint(head - 0xdb));
      case 0xde: case 0xdf: return this.#map(this.#uint(head - 0xdd));
      default: throw new RangeError(`expected MessagePack, got the byte ${head}`);
    }
  }

  /**
   * @param {number} width 0 to 3: of 8, 16, 32 or 64 bits
   * @returns {number}
   */
  #uint(width) {
    const at = this.#skip(1 << width);
    if (width === 0) return this.#view.getUint8(at);
    if (width === 1) return this.#view.getUint16(at);
    if (width === 2) return this.#view.getUint32(at);
    return Number(this.#view.getBigUint64(at));
  }

  /** @param {number} length */
  #text(length) {
    const at = this.#skip(length);
    return this.#data.toString("utf8", at, at + length);
  }

  /** @param {number} length */
  #bytes(length) {
    const at = this.#skip(length);
    return this.#data.subarray(at, at + length);
  }

  /** @param {number} length */
  #extension(length) {
    this.#skip(1 + length);
    return undefined;
  }

  /** @param {number} length */
  #list(length) {
    /** @type {unknown[]} */
    const items = [];
    for (let index = 0; index < length; index++) items.push(this.value());
    return items;
  }

  /** @param {number} length */
  #map(length) {
    /** @type {Record<string, unknown>} */
    const items = Object.create(null);
    for (let index = 0; index < length; index++) {
      const key = String(this.value());
      items[key] = this.value();
    }
    return items;
  }

  /**
   * @param {number} length
   * @returns {number} where the skipped bytes begin
   */
  #skip(length) {
    const at = this.at;
    if (at + length > this.#data.length) throw new RangeError("expected more bytes");
    this.at += length;
    return at;
  }
}
