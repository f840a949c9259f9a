/**
 * Small templates by kind, whose texts `template-references.json` has from transformers. What is
 * added here is rendered there by
 *
 *     bun test/support/template/template-compare.ts cases > C.json
 *     cd test/support && python template-reference.py --cases C.json template-references.json
 */
export const caseVariables = {
  s: "  Hello World\n",
  t: 'the quick brown fox; it\'s "quoted"',
  u: "Straße 𝒳é 東京",
  n: 7,
  f: 2.5,
  big: 123456789,
  yes: true,
  no: false,
  nil: null,
  list: [3, 1, 2, 10],
  words: ["b", "A", "c", "a"],
  mixed: [1, "a", null, true, 2.5, [1, 2], { k: "v" }],
  empty: [],
  none_map: {},
  map: { b: 2, a: 1, C: 3 },
  deep: { a: { b: [{ c: 1 }, { c: 2 }] }, items: "field", "x y": 1 },
  people: [
    { name: "Zoe", age: 31, city: "Bern" },
    { name: "adam", age: 25, city: "basel" },
    { name: "Bob", age: 31, city: "Bern", tags: ["x", "y"] },
    { name: "Eve", age: null },
  ],
  tree: [
    { n: 1, kids: [{ n: 2, kids: [{ n: 3, kids: [] }] }] },
    { n: 4, kids: [] },
  ],
};

/** Expressions: each is written between `{{` and `}}`. */
const expressions = `
1 + 2 * 3 ; 7 // 2 ; -7 // 2 ; 7 % 3 ; -7 % 3 ; 7 / 2 ; 4 / 2 ; 2 ** 10 ; 2 ** -1 ; 2 ** 0.5
2 ** 3 ** 2
1.0 ; 1.5 + 1.5 ; 0.1 + 0.2 ; 1e3 ; 1e16 ; 1.5e-7 ; 123456789.123 ; 1e22 ; 10 ** 20 ; 2 ** 64
9007199254740993
-n ; +n ; - 3 | abs ; -f ; not n ; not nil ; 7.5 // 2 ; -7.5 % 2 ; 3 * 'ab' ; 'ab' * 2 ; [1] * 3
(1, 2) * 2 ; n * yes
yes ; no ; nil ; none ; True ; False ; None ; undefined_name ; [] ; {} ; () ; (1,) ; (1, 2) ; 1, 2
0b101 ; 0x1F ; 1_000
list ; words ; mixed ; map ; deep ; people[3] ; 'it\\'s' ; ["it's", 'say "x"', 'both\\'"']
['a\\nb\\t\\\\', '\\x00\\u200b']
{'a': 1.0, 'b': [none, true], 3: (1, 2)} ; {1: 'a', 2: 'b'}[1] ; {1: 'x'}[True] ; {1.0: 'x'}[1]
{(1, 2): 'x'}[(1, 2)] ; {'a': 1, 'a': 2}
list[0] ; list[-1] ; list[1:] ; list[::-1] ; list[1:-1] ; list[::2] ; list[5:] ; list[-2:]
list[3:0:-1] ; list[-100:2] ; list[99] ; list.0 ; list['0']
u[0] ; u[-1] ; u[7] ; u[2:9] ; u[::-1] ; u | length ; u | upper ; u | lower ; u.upper()
u.title() ; u | capitalize ; u.casefold() ; u.isascii()
s[2:7] ; s | trim ; s.strip() ; s.lstrip() ; s.rstrip() ; 'xxaxx'.strip('x')
'abcxcba'.strip('cab') ; s | trim('\\n') ; 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1]
'a' + 'b' ; [1] + [2] ; (1,) + (2,) ; 'a' + 1 ; 1 + 'a' ; [1] + (2,) ; none + 1 ; 'a' + none
undefined_name + 'a' ; 'x' ~ undefined_name
1 == 1.0 ; 1 == true ; '1' == 1 ; [1] == [1.0] ; [1] == (1,) ; map == {'a': 1, 'b': 2, 'C': 3}
none == undefined_name ; undefined_name == other ; 1 != 2
1 < 2 ; 1 < 2 < 3 ; 3 > 2 > 2 ; 'a' < 'b' ; 'Z' < 'a' ; [1, 2] < [1, 3] ; 'a' < 1 ; none < 1
1 <= 1.0 ; yes < 2 ; undefined_name < 1 ; '😀' < '\\uffff'
1 in list ; 1.0 in list ; 'x' in list ; 'a' in map ; 1 in map ; 'ell' in s ; 1 in s ; '' in s
none in mixed ; 'a' not in words ; x in undefined_name ; undefined_name in map
undefined_name in list ; undefined_name in s ; 1 in 5
1 and 2 ; 0 and 2 ; '' or 'x' ; none or 0 ; not 1 == 2 ; (1 if yes else 2) ; (1 if no else 2)
(1 if no) ; 'a' if no else 'b' if no else 'c' ; 1 or undefined_name.x ; yes and no or n
map.a ; map['a'] ; map.zzz ; map.get('a') ; map.get('z') ; map.get('z', 5) ; map.keys()
map.values() ; map.items() ; map.keys() | list ; deep['items'] ; deep.a.b[1].c ; deep['x y']
deep.q.r ; nil.x ; nil['x'] ; n.x ; list.x ; 'abc'.length
map.items() | length ; map.items() | list | first ; map.copy() ; map.pop('a') ; list.append(1)
map.update({}) ; list.index(2) ; list.count(1) ; list.index(77) ; (1, 2, 1).count(1)
map.__class__ ; list.sort()
s | length ; list | length ; map | length ; nil | length ; n | length ; undefined_name | length
undefined_name | trim ; undefined_name | upper ; undefined_name | list ; undefined_name | first
undefined_name.x ; undefined_name() ; undefined_name | join(',')
nil | string ; yes | string ; f | string ; map | string ; list | string ; (1, 'a') | string
nil | upper ; nil | trim ; 5 | upper ; list | upper ; nil ~ '' ; [nil] | join(',')
[1, none, true, 'a', 1.5] | join('-')
list | min ; list | max ; words | min ; words | max ; words | min(case_sensitive=true)
people[:3] | min(attribute='age') ; people[:3] | max(attribute='age') ; [] | min ; [] | max
['a', 1] | min ; [1.5, 1] | min ; 'bca' | min ; map | max
list | sum ; [] | sum ; [1.5, 2] | sum ; people[:3] | sum(attribute='age') ; list | sum(start=100)
['a'] | sum ; [[1], [2]] | sum(start=[]) ; [true, 1] | sum
list | sort ; list | sort(reverse=true) ; words | sort ; words | sort(case_sensitive=true)
people[:3] | sort(attribute='name') | map(attribute='name') | list
people[:3] | sort(attribute='age,name') | map(attribute='name') | list
people[:3] | sort(attribute='age', reverse=true) | map(attribute='name') | join ; ['a', 1] | sort
map | sort ; 'bca' | sort
people[:3] | groupby('city') | list | length ; people[:3] | groupby('city') | map('first') | list
people | groupby('city', default='?') | map(attribute='grouper') | list
people | groupby('city', default='?') | map('last') | map('length') | list
(people[:3] | groupby('age'))[0].list | length ; people[:3] | groupby('age')
words | map('upper') | list ; words | map('upper') | join(',')
people | map(attribute='name') | list ; people | map(attribute='city') | list
people | map(attribute='city', default='-') | list
people | map(attribute='tags.0', default='-') | list ; list | map('string') | list
nil | map('upper') | list ; undefined_name | map('upper') | list ; 5 | map('upper') | list
list | map('nope') | list ; ['a-b', 'c'] | map('replace', '-', '+') | list
list | select('odd') | list ; list | reject('odd') | list ; list | select('>', 2) | list
mixed | select | list ; mixed | reject | list ; mixed | select('string') | list
mixed | select('number') | list ; list | select('in', [1, 2]) | list
list | select('nope') | list ; nil | select('odd') | list ; map | select('equalto', 'a') | list
people | selectattr('age') | map(attribute='name') | list
people | selectattr('age', 'equalto', 31) | map(attribute='name') | list
people | rejectattr('age') | map(attribute='name') | list
people | selectattr('tags', 'defined') | list | length
people | rejectattr('city', 'undefined') | list | length ; nil | selectattr('x') | list
[] | selectattr('x', 'nope') | list
people | selectattr('age', 'none') | map(attribute='name') | list
people | selectattr('name', 'in', ['Bob', 'Eve']) | map(attribute='age') | list
[1, 1.0, 'a', 'A', 'b', true] | unique | list ; words | unique | list
words | unique(case_sensitive=true) | list
people | unique(attribute='age') | map(attribute='name') | list ; [[1]] | unique | list
(list | select('odd')) is iterable ; list | select('odd') | length
list | batch(3) | list ; list | batch(3, 'x') | list ; list | slice(3) | list
list | slice(3, 'x') | list ; [] | batch(2) | list ; 'abcde' | batch(2) | list
list | first ; list | last ; [] | first ; [] | last ; s | first ; map | first ; map | last
'abc' | last ; (list | map('string')) | first ; list | reverse | list ; 'abc' | reverse
map | reverse | list ; nil | reverse ; 5 | first ; (1, 2) | reverse | list
list | join(', ') ; words | join ; people[:3] | join(',', attribute='name') ; 'abc' | join('-')
map | join(',') ; map.values() | join(',') ; 5 | join ; list | join(1) ; list | list ; 'ab' | list
map | list ; nil | list ; range(3) | list ; range(3) ; range(1, 10, 3) | list
range(5, 0, -2) | list ; range(2)[1] ; range(200000) ; range(0) | list ; range(1, 2, 0)
map | dictsort ; map | dictsort(true) ; map | dictsort(by='value') ; map | dictsort(reverse=true)
map | items | list ; nil | items | list ; undefined_name | items | list ; list | items | list
map | dictsort(by='x') ; none_map | dictsort
'3' | int ; '3.7' | int ; 'x' | int ; 'x' | int(5) ; 3.9 | int ; -3.9 | int ; true | int
nil | int ; '0x1f' | int(0, 16) ; '1f' | int(base=16) ; ' 42 ' | int ; '1_000' | int ; '+5' | int
undefined_name | int ; [] | int ; '1e3' | int ; '101' | int(base=2)
'3' | float ; 'x' | float ; 3 | float ; '1e3' | float ; 'inf' | float ; nil | float(1)
' 2.5 ' | float ; true | float ; 3 | float | string
2.5 | round ; 3.5 | round ; 2.675 | round(2) ; 42.55 | round(1) ; 42.55 | round(1, 'floor')
42.51 | round(1, 'ceil') ; 5 | round ; 1234.5 | round(-2) ; 1234 | round(-2) ; -0.5 | round
1e20 | round ; 0.125 | round(2) ; '5' | round
-5 | abs ; -2.5 | abs ; true | abs ; 'a' | abs ; 5.0 | int ; 5.0 ; 5.0 | string ; 1e-5 ; 0.0001
1234567890123456.0 ; 12345678901234567.0 ; -0.0 ; 100.0 ; 3.14159
undefined_name | default('d') ; nil | default('d') ; '' | default('d') ; '' | default('d', true)
nil | default('d', boolean=true) ; 0 | d(5, true) ; map.zzz | default('d')
deep.q.r | default('d') ; undefined_name | default ; yes | default(false)
t | title ; t | capitalize ; 'hello-world (a) foo_bar' | title ; t | wordcount
t | replace('quick', 'slow') ; 'aaa' | replace('a', 'b', 2) ; 'aaa' | replace('', '-')
5 | replace(5, 6) ; nil | replace('N', 'n') ; t | truncate(15) ; t | truncate(15, true)
t | truncate(15, true, '…') ; t | truncate(30, leeway=10) ; t | truncate(255) ; 'abc' | center(9)
'abc' | center(2)
'a\\nb\\n\\nc' | indent ; 'a\\nb\\n\\nc' | indent(2) ; 'a\\nb\\n\\nc' | indent(2, true)
'a\\nb\\n\\nc' | indent(2, blank=true) ; 'a\\nb' | indent('> ')
'a\\nb' | indent(width=3, first=true) ; nil | indent ; 'a\\n' | indent(2) ; '' | indent(2, true)
'<a href="x">&\\'</a>' | string ; t | wordwrap(10) ; 'a b' | urlencode ; 'ä/ö?' | urlencode
{'a': 'b c', 'd': '/'} | urlencode ; '<b>bold</b> text' | striptags ; 1000000 | filesizeformat
1024 | filesizeformat(true) ; 1 | filesizeformat ; 'x' | nope ; s | attr('upper') is callable
map | attr('a') ; '%s-%d' | format('a', 5) ; '%(a)s' | format(a=1)
map | tojson ; mixed | tojson ; t | tojson ; u | tojson ; u | tojson(ensure_ascii=true)
map | tojson(indent=2) ; map | tojson(sort_keys=true) ; map | tojson(separators=(',', ':'))
deep | tojson(indent=4) ; [] | tojson(indent=2) ; {} | tojson(indent=2)
[[], {}] | tojson(indent=1) ; map | tojson(indent=0) ; list | tojson(indent='\\t') ; nil | tojson
undefined_name | tojson ; (1, 2) | tojson ; 1.0 | tojson ; 1e16 | tojson ; 1e-7 | tojson
{1: 'a', none: 'b', true: 'c', 1.5: 'd'} | tojson ; range(3) | tojson ; map.items() | tojson
(list | map('string')) | tojson ; '<>&\\'' | tojson ; '\\x7f\\x1f\\u2028/' | tojson
map | tojson(2) ; map | tojson(indent=2, separators=(',', ': ')) ; {(1, 2): 3} | tojson
[true, false] | tojson ; {'a': {'b': [1, {'c': none}]}} | tojson(indent=2)
t.split() ; t.split(' ', 1) ; t.rsplit(' ', 1) ; 'a,b,,c'.split(',') ; ''.split(',') ; ''.split()
'  a  b '.split() ; ' a b  c '.split(none, 1) ; ' a b  c '.rsplit(none, 1) ; 'a--b--c'.split('--')
'abc'.split('') ; t.split(maxsplit=2) ; 'a\\nb\\r\\nc'.splitlines() ; 'a\\nb\\n'.splitlines(true)
'a-b-c'.partition('-') ; 'a-b-c'.rpartition('-') ; 'abc'.partition('x') ; 'abc'.rpartition('x')
'abc'.startswith('a') ; 'abc'.startswith(('x', 'a')) ; 'abc'.startswith('b', 1)
'abc'.endswith('c') ; 'abc'.endswith(('b', 'c')) ; 'abc'.startswith('') ; 'abc'.find('c')
'abc'.find('z') ; 'abcabc'.rfind('b') ; 'abc'.index('b') ; 'abc'.index('z') ; 'abab'.count('ab')
'aaa'.count('aa') ; 'abc'.count('') ; 'abc'.find('a', 1) ; 'abc'.startswith(1) ; 'é𝒳a'.find('a')
'aaa'.replace('a', 'b') ; 'aaa'.replace('a', 'b', 1) ; 'abc'.replace('', '-')
'abc'.removeprefix('a') ; 'abc'.removesuffix('c') ; 'abc'.ljust(5, '.') ; 'abc'.rjust(5)
'abc'.center(6, '*') ; 'abcd'.center(7, '*') ; '42'.zfill(5) ; '-42'.zfill(5)
'a\\tb'.expandtabs(4) ; '-'.join(words) ; '-'.join([1]) ; 'aB'.swapcase()
"they're bill's".title() ; 'hELLO'.capitalize() ; 'abc'.nope() ; 'a$1'.replace('a', '$&')
'abc'.isalpha() ; 'ab1'.isalnum() ; '12'.isdigit() ; '½'.isnumeric() ; '²'.isdigit()
'²'.isdecimal() ; ' '.isspace() ; ''.isspace() ; 'abc'.islower() ; 'ABC'.isupper()
'A1'.isupper() ; '1'.islower() ; 'Abc Def'.istitle() ; 'abc'.isidentifier() ; ''.isalpha()
'a b'.isprintable() ; 'a\\n'.isprintable()
'{} {}'.format(1, 'a') ; '{0}{1}{0}'.format('a', 'b') ; '{a}'.format(a=1)
'{:>5}|{:<5}|{:^5}'.format(1, 'a', 'b') ; '{:05d}'.format(42) ; '{:.2f}'.format(3.14159)
'{:,}'.format(1234567) ; '{:x} {:#x} {:b} {:o}'.format(255, 255, 5, 8) ; '{:.1%}'.format(0.256)
'{:e}'.format(12345.678) ; '{:g} {:g} {:g}'.format(1e10, 0.0001, 1.5) ; '{!r}'.format('a')
'{{}}'.format() ; '{}'.format() ; '{:+d} {: d}'.format(5, 5) ; '{:*^9}'.format('mid')
'{:{w}}'.format('a', w=4) ; '{:.3}'.format('abcdef') ; '{:_}'.format(1234567) ; '{}'.format(none)
'{}'.format(1.0) ; '{:d}'.format('a') ; '{:010.3f}'.format(-3.14159)
'{:.0f} {:.0f}'.format(0.5, 1.5) ; '{a[b]}'.format(a={'b': 1}) ; '{:.3g}'.format(1234.5)
'{:,.2f}'.format(1234567.891) ; '{a}'.format_map({'a': 1})
'%s' % 'a' ; '%s %s' % ('a', 1) ; '%d' % 3.9 ; '%05d' % 42 ; '%.2f' % 3.14159
'%5s|%-5s|' % ('a', 'b') ; '%x %X %o' % (255, 255, 8) ; '%e' % 12345.678 ; '%g' % 0.00001
'%%' % () ; '%r' % 'a' ; '%s' % none ; '%s' % [1, 2] ; '%s' % (1,) ; '%(a)s' % {'a': 1}
'%s' % () ; '%d' % 'a' ; 'x' % 1 ; '%+d' % 5 ; '%c' % 'x' ; '%.3s' % 'abcdef' ; '%5.1f|' % 2.25
'%s %s' % 'a' ; '%i' % true ; '%s' % map
n is defined ; zz is defined ; map.zz is defined ; zz.y is defined ; n is undefined ; nil is none
nil is not none ; yes is true ; 1 is true ; no is false ; yes is boolean ; n is number
yes is number ; f is number ; '1' is number ; n is integer ; yes is integer ; f is integer
1.0 is integer ; f is float ; 1.0 is float ; s is string ; n is string ; map is mapping
list is mapping ; list is sequence ; s is sequence ; map is sequence ; n is sequence
zz is sequence ; list is iterable ; s is iterable ; n is iterable ; nil is iterable
zz is iterable ; map.items() is iterable ; map.items() is sequence ; range(2) is sequence
n is odd ; n is even ; 4 is even ; n is divisibleby 7 ; n is divisibleby(2) ; n is eq 7
n is ne 7 ; n is lt 8 ; n is gt 8 ; n is le 7 ; n is ge 8 ; n is equalto 7 ; n is greaterthan 5
n is lessthan 5 ; n is sameas n ; nil is sameas none ; 'a' is in words ; 'z' is in(words)
'abc' is lower ; 'ABC' is upper ; 'abc' is upper ; 'upper' is filter ; 'nope' is filter
'odd' is test ; s.upper is callable ; n is callable ; raise_exception is callable ; n is nope
n is not odd ; not n is odd ; n is defined and n is odd ; (n is odd) is true
s is string and s is not none ; 'a' is odd ; n is divisibleby ; yes is sameas true
namespace(a=1).a ; namespace(a=1).b ; namespace({'x': 2}, y=3).x ; dict(a=1, b=2)
dict({'a': 1}, b=2) ; dict([('a', 1)]) ; namespace(_a=1) ; strftime_now('%Y-%m-%d %H:%M')
strftime_now('%d %b %Y, %A %B') ; cycler('a', 'b').next() ; joiner('-')() ; raise_exception('no')
namespace() ; dict.fromkeys(['a', 'b'], 0)
'a' 'b' ; 'tab\\tq\\u00e9\\x41' ; "a\\\\n" ; '\\q' ; 'multi\\
line' ; (yes) and (no) ; [1, 2,]
{'a': 1,} ; (1 if yes else 0) + 1 ; list[n - 7] ; list[:2] | length ; -list[0] ; (-3) | abs
2 * (3 + 4) ; not (yes and no) ; 'a' in 'abc' and 'z' not in 'abc' ; [x for x in list]
yes ? 1 : 2
map | pprint ; t | list | length ; 1 if zz is not defined else zz ; 'x'.__class__
list | length == 4 ; list | length + 1 ; 'a' ~ 'b' | upper ; ('a' ~ 'b') | upper ; n + 1 | string
-1 ** 2 ; 'ab'[0] ; 'ab'[5] ; 'ab'.0 ; (1, 2)[1] ; (1, 2)[0:1] ; {'a': [1]}.a[0] ; map['a':]
nil[0] ; nil[0:1] ; zz[0:1] ; s.strip().lower().split() ; words[0:2] + words[2:] ; [1, [2, [3]]]
[[1, 2], [3]] | sum(start=[]) ; ('a', 'b') ~ '' ; loop
range(9)[2:7] ; range(9)[::-1] ; range(0, 20, 3)[1:4:2] ; range(5)[7:] ; range(3)[2:0]
u | wordwrap(4) ; s | wordwrap(4) ; 'a-b-c-d eee' | wordwrap(3) ; 'abcdef gh' | wordwrap(3, false)
list | truncate(9) ; nil | truncate(3) ; zz | truncate(3) ; yes | filesizeformat
words | filesizeformat
(5 | items) is iterable ; '' % words ; '' % zz ; 'x' % map ; words | urlencode ; zz | attr('x')
`;

/** Whole templates: statements, scopes, white space. */
const templates = [
  "{% for x in list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
  "{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
  "{% for x in list %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.depth }}{{ loop.depth0 }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 2) }};{% endfor %}",
  "{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}none{% endfor %}",
  "{% for x in empty %}x{% else %}nothing{% endfor %}",
  "{% for x in undefined_name %}x{% else %}nothing{% endfor %}",
  "{% for x in nil %}x{% endfor %}",
  "{% for x in 5 %}x{% endfor %}",
  "{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %}",
  "{% for k in map %}{{ k }}{% endfor %}{% for c in 'a😀b' %}[{{ c }}]{% endfor %}",
  "{% for k, v in map | dictsort %}{{ k }}={{ v }};{% endfor %}",
  "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
  "{% for a, b in [(1, 2, 3)] %}x{% endfor %}",
  "{% for a, b in ['xy'] %}{{ a }}-{{ b }}{% endfor %}",
  "{% for x in list %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
  "{% for x in list %}a{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% else %}E{% endfor %}",
  "{% for x in list %}a{% break %}{% else %}E{% endfor %}",
  "{% for x in list %}{% for y in words %}{{ loop.index }}{% if y == 'c' %}{% break %}{% endif %}{% endfor %}{{ loop.index }};{% endfor %}",
  "{% for x in tree recursive %}{{ x.n }}({{ loop.depth }}{{ loop(x.kids) }}){% endfor %}",
  "{% for x in list %}{{ loop(x) }}{% endfor %}",
  "{% set x = 1 %}{% for i in list %}{% set x = i %}{% endfor %}{{ x }}",
  "{% for i in list %}{{ x }}{% set x = i %}{{ x }};{% endfor %}",
  "{% set x = 5 %}{% for i in list %}{{ x }}{% set x = i %}{{ x }};{% endfor %}{{ x }}",
  "{% set x = 5 %}{% if yes %}{% set x = 6 %}{% endif %}{{ x }}",
  "{% if no %}{% set n = 1 %}{% endif %}{{ n }}",
  "{% set n = n + 1 %}{{ n }}",
  "{% for i in list %}{% if i == 2 %}{% set n = i %}{% endif %}{{ n }};{% endfor %}{{ n }}",
  "{% set ns = namespace(c=0, l=[]) %}{% for i in list %}{% set ns.c = ns.c + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.c }}{{ ns.l }}",
  "{% set map.a = 1 %}{{ map }}",
  "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
  "{% set (a, b) = [1, 2] %}{{ a }}{{ b }}",
  "{% set a, b = [1] %}",
  "{% set x %}a{{ n }}b{% endset %}[{{ x }}]{{ x | length }}",
  "{% set x | upper | trim %} a{{ n }}b {% endset %}[{{ x }}]",
  "{% set x %}{% set y = 1 %}{% endset %}{{ y }}",
  "{% filter upper %}a{{ s }}{% endfilter %}{% filter replace('a', 'b') | indent(2) %}a\na{% endfilter %}",
  "{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a }}{{ c }}",
  "{% set a = 0 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
  "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, 5) }}{{ m(b=3, a=4) }}{{ m() }}",
  "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
  "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
  "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=1) }}",
  "{% macro m(a, b) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
  "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ n }}{% endcall %}",
  "{% macro m() %}{% for i in list %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(x) m() %}<{{ x }}>{% endcall %}",
  "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}",
  "{% for x in list %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
  "{% macro m() %}{{ loop }}{{ x }}{% endmacro %}{% for x in [1] %}{{ m() }}{% endfor %}",
  "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
  "{% macro m(a, b=1) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}",
  "{% macro m() %} x {% endmacro %}{{ m() | trim }}{{ m() ~ 'y' }}{{ m() + 'z' }}",
  "{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(1) }}{{ y }}",
  "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
  "{% macro m(x=undefined_name) %}{{ x is defined }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m(zz) }}",
  "{{ m(1) }}{% macro m(x) %}{{ x }}{% endmacro %}",
  "{% block a %}A{{ n }}{% endblock %}{{ self.a() }}",
  "{% set x = 1 %}{% block b %}{{ x }}{% endblock b %}",
  "{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%} a {%- endraw -%} b",
  "a {# comment {{ x }} #} b {#- c -#} d",
  "  {% if yes %}\n    a\n  {% endif %}\nb\n",
  "x  {% if yes %}  \n a{% endif %}  \n",
  "{% if yes -%}\n  a  \n{%- endif %}  b",
  "{%+ if yes %}a{%+ endif +%}\nb",
  "  {%+ if yes %}a{% endif %}",
  "  {{ n }}\n  {{- n }}\n  {{ n -}}\n  {{ n }}",
  "{% for x in list %}\n  {{ x }}\n{% endfor %}\nend",
  "\n{% for x in list -%}\n  {{ x }}\n{%- endfor %}\n",
  "a\r\nb\rc\n",
  "a\n\n",
  "{# c #}\n{# d #}  \n  {# e #}x",
  "{% set x = 1 %}\n\n{% set y = 2 %}\nz",
  "{% if yes %}{# c #}{% endif %}\n{{ n }}\n",
  "{%- if yes %} a {%- else %} b {%- endif -%} c",
  "{% if no %}a{% elif nil %}b{% elif n %}c{% else %}d{% endif %}",
  "{% if list and map and not empty and not none_map and not '' and 0.0 == 0 %}y{% endif %}",
  "{% if (empty | select) %}generators are true{% endif %}{% if map.items() %}i{% endif %}{% if none_map.items() %}j{% endif %}{% if range(0) %}k{% endif %}",
  "{% set g = list | select('odd') %}{{ g | list }}{{ g | list }}",
  "{% generation %}a{{ n }}{% set q = 1 %}{% endgeneration %}{{ q }}",
  "{% for x in list %}{% generation %}{{ loop.index }}{{ x }}{% endgeneration %}{% endfor %}",
  "{% autoescape false %}{{ '<' }}{% endautoescape %}",
  "{{ '<&>' }}{{ {'a': '<'} }}{{ '<' ~ '>' }}",
  "{% if %}",
  "{% for x in list %}",
  "{% endif %}",
  "{{ 1",
  "{{ }}",
  "{% nope %}",
  "{{ 'a }}",
  "{% set true = 1 %}",
  "{% break %}",
  "{% include 'x' %}",
  "{{ foo.bar.baz }}",
  "{% if undefined_name.x %}a{% endif %}",
  "{% if no and undefined_name.x %}a{% else %}b{% endif %}",
  "{% if no %}{{ 1 | nope }}{{ undefined_name() }}{% endif %}ok",
  "{% set loop_messages = people %}{% for message in loop_messages %}{% set content = message['name'] | trim + '!' %}{% if loop.index0 == 0 %}{% set content = '<s>' + content %}{% endif %}{{ content }}{% endfor %}",
  "{% set ns = namespace(found=false) %}{% for p in people[::-1] %}{% if not ns.found and p.age %}{% set ns.found = true %}{{ p.name }}{% endif %}{% endfor %}",
  "{% set d = {1: 'one', 2: 'two', 'k': none} %}{% for k, v in d.items() %}{{ k }}:{{ v }};{% endfor %}{{ d[2] }}{{ 3 in d }}",
  "{%- macro render(v) -%}{%- if v is mapping -%}{ {%- for k, x in v | dictsort -%}{{ k }}:{{ render(x) }}{%- if not loop.last -%},{%- endif -%}{%- endfor -%} }{%- elif v is iterable and v is not string -%}[{%- for x in v -%}{{ render(x) }}{{ ',' if not loop.last }}{%- endfor -%}]{%- else -%}{{ v | tojson }}{%- endif -%}{%- endmacro -%}{{ render(deep) }}",
  "{{ self.nope() }}",
  "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{% set _ = c.reset() %}{{ c.next() }}",
  "{% set j = joiner('|') %}{% for x in list %}{{ j() }}{{ x }}{% endfor %}",
  "{% for group in people[:3] | groupby('city') %}{{ group.grouper }}:{{ group.list | map(attribute='name') | join('+') }};{% endfor %}",
  "{% for city, list in people[:3] | groupby('city') %}{{ city }}:{{ list | length }};{% endfor %}",
  "{% for row in list | batch(2) %}{% for x in row %}{{ x }}{% endfor %}/{% endfor %}",
  "{% set x = namespace() %}{% set x.y = 1 %}{{ x.y }}{{ x.z is defined }}",
  "{% set f = s.strip %}{{ f() }}{% set g = map.get %}{{ g('a') }}",
  "{{ dict(map, **{'z': 9}) }}{{ range(*[1, 4]) | list }}",
  "{% for x in [1, 2, 3] %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{% endfor %}{% endfor %}",
  "{% call undefined_name() %}{% endcall %}",
  "{% for i in range(3) %}{{ i }}{% else %}x{% endfor %}{{ i }}",
  "{{ messages }}{% set messages = 1 %}{{ messages }}",
  "a{% if yes %}\n{% endif %}b\n  {% if yes %}  {% endif %}  c",
];

export const cases: readonly string[] = [
  ...expressions
    .replaceAll("\\\n", "\u0000")
    .split(/ ; |\n/)
    .filter((expression) => expression !== "")
    .map((expression) => `{{ ${expression.replaceAll("\u0000", "\\\n")} }}`),
  ...templates,
];
