/** Texts on which tokenizers differ: used wherever one tokenizer must equal another. */

const FAMILY = "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}\u200D\u{1F466}";

const CODE = `#include <stdio.h>
int main(void) {
\tfor (int i = 0; i < 10; ++i) {
\t\tprintf("%d\\n", i * 3.14159e-10); // comment
\t}
    return 0x7fff_ffff;
}
def f(x: list[int]) -> str:
    return f"{x!r:>10}" if x else None  # __init__
SELECT * FROM "t" WHERE a <> 'b' AND c LIKE '%d_';
<table><tr><td class="x">&nbsp;</td></tr></table>
{"a": [1, 2.5e3, null], "b": {"c": "\\u00e9"}}
`;

export const HARD_TEXTS: readonly string[] = [
  "",
  " ",
  "  ",
  "   ",
  "\t",
  "\n",
  "\n\n",
  "\n\n\n",
  "\t\n",
  "\r\n",
  "\r\n\r\n",
  "\r\r\n\n\r",
  " \n",
  "\n ",
  " \n \n  \n",
  "a\n\nb\n\n\nc\n\n\n\nd",
  "Hello world",
  " Hello world",
  "Hello World!",
  "Hello, y'all! How are you 😁 ?我想在apple工作1314151天～",
  "ied 4 ½ months",
  "Äpfel",
  "  leading and trailing  ",
  "tabs\tand\t\ttabs \t mixed \t",
  "a b  c   d    e     f      g       h        i",
  "NBSP\u00a0here\u00a0\u00a0and\u202fthere\u2003em\u3000ideographic",
  "zero\u200bwidth\u200cnon\u200djoiner\ufeffbom",
  "\u0085next line\u2028line separator\u2029paragraph",
  "1",
  "12",
  "123",
  "1234",
  "12345",
  "123456789012345678901234567890",
  "3.14159 1,000,000 0xDEADBEEF 1e-10 ½ ² ③ ٣٤٥ १२३ 𝟙𝟚𝟛",
  "I'm you're he's they'll we've she'd isn't",
  "I'M YOU'RE HE'S THEY'LL WE'VE SHE'D ISN'T",
  "I’m you’re he’s they’ll",
  "'S 'T 're'VE 'm'LL'd 'x ''s '' '",
  "''''''```````\"\"\"\"......!!!!!!??????",
  "$100 €200 £300 ¥400 + = < > ^ ` | ~ @ # % & * ( ) [ ] { } \\ / _ - : ;",
  "...,,,;;;:::---___***###",
  "🦙",
  `${FAMILY} family, 👩🏽‍🚀 astronaut, 🏳️‍🌈 flag, 🇩🇪🇫🇷 flags, ❤️‍🔥, 1️⃣ keycap`,
  "😀😃😄😁😆😅🤣😂🙂🙃🫠😉😊😇🥰😍🤩",
  "e\u0301 a\u0308 o\u0302\u0323 n\u0303\u0303\u0303 Z\u0351\u036b\u0343a\u0300l\u0301g\u0302o\u0303",
  "नमस्ते दुनिया क्षत्रिय श्री",
  "السلام عليكم ورحمة الله وبركاته ١٢٣",
  "שָׁלוֹם עוֹלָם",
  "\u202eright to left override\u202c and \u2067isolate\u2069",
  "你好，世界！我在北京工作。",
  "日本語のテキスト、カタカナとひらがな。ＡＢＣ１２３",
  "안녕하세요 세계 여러분",
  "ไทยไม่มีช่องว่างระหว่างคำ",
  "Привет, мир! Ёлки-палки. ЁЖ",
  "Ελληνικά κείμενα Σσς",
  "Tiếng Việt có dấu",
  "İstanbul ıŞIK ſ ŉ ǅ ǆ ﬁ ﬂ Ⅷ",
  "ꙮ Ꙁ ⰀⰁ 𐐀𐐨 𒀀 𓀀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
  "CamelCaseWord snake_case_word kebab-case-word SCREAMING_CASE HTTPServer2Go iPhone15ProMax",
  "https://example.com/a/b?c=d&e=%20#frag mailto:x@y.org C:\\Windows\\System32",
  CODE,
  "\u0000",
  "a\u0000b\u0000\u0000c",
  "\u0001\u0002\u0007\b\u000b\f\u001b[31mred\u001b[0m\u007f\u0080\u009f",
  "\u{10FFFF}\u{E000}\u{F0000} private \u0378\u{1F8FF} unassigned",
  "\uFFFD replacement \uFFFE\uFFFF",
  "a\u2581b \u2581\u2581 spelled spaces",
  "<s></s><unk><pad><bos><eos> <|endoftext|><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
  "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
  "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
  "[INST] <<SYS>>\nbe brief\n<</SYS>>\n\nhi [/INST] ok </s><s>[INST]",
  "<|im_sta rt|> <|im_start <|im_end|>> <<|im_end|> <|im_end|> \n <|end|>   after",
  "<unused0><unused10><unused100> <0x0A> <0xE2> <0x00>",
  '<think>\nhm\n</think>\n\n<tool_call>\n{"name": "f"}\n</tool_call>',
  "<h1>title</h1><br><i>it</i><table><tbody><td>",
  "word ".repeat(200),
  "\n".repeat(100),
  " ".repeat(1000),
  "\t".repeat(77),
  " \n".repeat(50),
  "=".repeat(300),
  "ha".repeat(500),
  "0123456789".repeat(50),
  "漢".repeat(300),
  "🦙".repeat(100),
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "Thequickbrownfoxjumpsoverthelazydog".repeat(20),
  "Supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
];

/** Not well-formed UTF-16: every lone half is taken as U+FFFD. */
export const LONE_SURROGATES: readonly string[] = [
  "\ud800",
  "a\udc00b",
  "\udc00\ud800",
  "ok \ud83e\udd99 half \ud83e then \udd99 end\ud83e",
];

/** One word without a break: must not take quadratic time. */
export function longWord(length: number): string {
  return "abcdefghijklmnopqrstuvwxyzäöü漢字🦙".repeat(Math.ceil(length / 35)).slice(0, length);
}

/** Words of several scripts, marks, blanks and digits in random order, from a seed. */
export function randomText(seed: number, length: number): string {
  const pieces = [
    ..."etaoin shrdlu 0123456789 ,.'\"!?-\n\t\r".split(""),
    ..."the and 's 'RE ll  \u00a0 \u3000 é e\u0301 ß Ж 漢 字 カ 한 ا ש ก ् 🦙 👩🏽‍🚀 \u200d ▁ ½ ٣".split(
      " ",
    ),
    ..."<s> </s> <|im_start|> <end_of_turn> <0x0A> \u0000 \u0085 \u2028 \ufeff \ufffd {} => // __".split(
      " ",
    ),
  ];
  let state = seed >>> 0 || 1;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += pieces[(state >>> 8) % pieces.length]!;
    if ((state & 7) === 0) text += " ";
  }
  return text;
}
