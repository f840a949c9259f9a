/** Texts in which tokenizers differ when they differ at all: drawn from a seed. */

const BLANKS = [
  ..." \t\n\r\v\f\0\u001c\u001d\u001e\u001f\u0085\u00a0\u1680\u180e\u2000\u2003\u2007\u2009",
  ..."\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff",
  "  ",
  "   ",
  "        ",
  "\r\n",
  "\n\n",
  "\n \n",
  " \n",
  "\t\t",
  "\u00a0 ",
  " \u3000",
];
const MARKS = [
  ..."\u0300\u0301\u0302\u0303\u0304\u0307\u0308\u030a\u0323\u0327\u0328\u0331\u0338\u0345\u034f",
  ..."\u0488\u05b8\u0610\u064b\u0651\u0670\u093c\u093e\u094d\u0b3e\u0e34\u0e4a\u0f71\u0f72\u0f80",
  ..."\u1039\u17d2\u1dc4\u1dfa\u20d0\u20dd\u20e3\u302a\u3099\u309a\u0897\u1ab0\u1acf\ufe0f\ufe20",
  "\u{1e8d0}",
  "\u{11071}",
  "\u{e0101}",
  "\u{1d165}",
];
const LETTERS = [
  ..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
  ..."éèñçøåßŁłıİſŉǅǈǆǰΐΣσςЖжЁёҐآؤپकखกขมংதമ가각힣漢字語書かナｶﾞ々〆ﬁﬂﬆĲ",
  ..."ªºʰˢⁿₓℌℵΩÅKÅ①Ⅷⅷ㍿㎏㋿ꟲꭩ",
  ..."각한글ཀྵಕೀ༜ⴰᏣꮳ",
  "\u{10400}",
  "\u{10428}",
  "\u{1d400}",
  "\u{20000}",
  "\u{2f800}",
  "\u{1f130}",
  "\u{16ea0}",
  "\u{105c9}",
  "\u1c89",
  "\ua7ce",
];
const NUMBERS = [
  ..."0123456789٠٣٩०५๔໒〇零四½²³¼↉",
  "12",
  "123",
  "1234",
  "1234567890",
  "3.14",
  "1,000,000",
  "0x1F",
  "1e-10",
  "\u{1d7d8}",
  "\u{1f101}",
];
const SIGNS = [
  ...".,;:!?\"'`´’‘“”«»()[]{}<>|/\\_-–—+*=~^%$#@&§°•…¿¡‽※†™©®€£¥₿∞≠≮≤∑√∫→⇒█░◌",
  ..."、。「」！？～・｡；，：（）｜＜＞",
  "...",
  "--",
  "//",
  "**",
  "'s",
  "'S",
  "'ſ",
  "'t",
  "'RE",
  "'ve",
  "'Ll",
  "'d",
  "'M",
  "’s",
  "'",
  "''",
  "::",
  "=>",
  "!=",
  "</",
  "<|",
  "|>",
  "▁",
  "▁▁",
  "Ġ",
  "Ċ",
  "ĉ",
  "<0x0A>",
  "<0xE2>",
  "##",
  "@@",
];
const EMOJI = [
  ..."😀🦙❤✨☺🈁🫠",
  "👩🏽‍🚀",
  "👨‍👩‍👧‍👦",
  "🏳️‍🌈",
  "🇩🇪",
  "🇫",
  "1️⃣",
  "❤️‍🔥",
  "\u{1fae8}",
  "\u{1fbfa}",
];
const ODD = [
  ..."\u0001\u0007\b\u001b\u007f\u0080\u009f\u00ad\u0378\u061c\u200e\u202e\u2066\u2069\ue000\uf8ff",
  ..."\ufdd0\ufff9\ufffc\ufffd\ufffe\uffff",
  "\u{e0001}",
  "\u{f0000}",
  "\u{10ffff}",
  "\u{1f8ff}",
  "\ud800",
  "\udc00",
];
const WORDS = [
  ..."the and of to Hello World hello HELLO iPhone HTTPServer2Go camelCase snake_case don't I'm".split(
    " ",
  ),
  ..."function return const def class import print lambda self None True null undefined".split(" "),
  ..."über naïve façade Straße ŒUVRE Привет МИР Ёлка ελληνικά Σίσυφος שָׁלוֹם עולם السلام".split(" "),
  ..."مَرْحَبًا नमस्ते क्षत्रिय বাংলা தமிழ் ไทยภาษา ກຂຄ မြန်မာ ខ្មែរ 你好世界 日本語テキスト".split(" "),
  ..."カタカナ ｶﾀｶﾅ 안녕하세요 Tiếng Việt İstanbul e\u0301te\u0301 n\u0303 a\u0308 A\u030a".split(
    " ",
  ),
  "x e\u0301&amp;",
  "e\u0323\u0302",
  "\u1100\u1161\u11a8",
  "for (int i = 0; i < n; ++i) {\n\t",
  "    return x\n",
  "https://example.com/a?b=c&d=%20#e",
  '{"key": [1, 2.5, null]}',
  "<div class='a'>",
  "C:\\Windows\\",
  "q̌u̲i̶c̴k̷",
  "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
  "ＡＢＣ１２３",
  "ﷺ",
  "ＴＥＳＴ－ＦＵＬＬ",
];
const POOLS = [BLANKS, MARKS, LETTERS, LETTERS, NUMBERS, SIGNS, SIGNS, EMOJI, ODD, WORDS, WORDS];

/** A small generator of 32-bit numbers; each call gives the next one below `limit`. */
export function drawer(seed: number): (limit: number) => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % limit;
  };
}

/** `specials`: spellings of the tokenizer's own added tokens, woven in whole, cut and doubled. */
export function fuzzText(seed: number, specials: readonly string[]): string {
  const draw = drawer(seed);
  const pick = (pool: readonly string[]): string => pool[draw(pool.length)]!;
  const length = draw(12) === 0 ? 60 + draw(200) : 1 + draw(24);
  const home = POOLS[draw(POOLS.length)]!; // most texts are of one kind, with guests
  let text = "";
  for (let i = 0; i < length; i++) {
    const kind = draw(20);
    if (kind < 2 && specials.length > 0) {
      const special = pick(specials);
      const cut = draw(8);
      if (cut === 0) text += special.slice(0, -1);
      else if (cut === 1) text += special.slice(1);
      else if (cut === 2) text += special + special;
      else if (cut === 3) text += pick(BLANKS) + special + pick(BLANKS);
      else text += special;
    } else if (kind < 10) text += pick(home);
    else if (kind < 13) text += ` ${pick(WORDS)}`;
    else if (kind === 13) text += String.fromCodePoint(draw(0x30000));
    else if (kind === 14) text += pick(home).repeat(1 + draw(9));
    else text += pick(POOLS[draw(POOLS.length)]!);
  }
  return text;
}
