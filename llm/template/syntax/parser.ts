/** Tokens of a template → its statements. */
import type { Body, CallOf, Expression, Parameter, Statement, Target } from "./ast.ts";
import { tokensOf } from "./lexer.ts";
import {
  parseCall,
  parseExpression,
  parseFilterChain,
  parseTarget,
  parseTuple,
} from "./parse-expression.ts";
import { TokenStream } from "./token-stream.ts";

/** Throws TemplateSyntaxError. */
export function parseTemplate(source: string): Body {
  const parser = new Parser(new TokenStream(tokensOf(source)));
  return parser.body([]);
}

const DEPTH_MAX = 200;

/** Tags that name other templates. */
const others = "include import from extends".split(" ");

class Parser {
  readonly #stream: TokenStream;
  #depth = 0;
  #loops = 0;
  constructor(stream: TokenStream) {
    this.#stream = stream;
  }

  /** Statements up to a tag with one of these names, which is left to the caller; or to the end. */
  body(ends: readonly string[]): Body {
    const stream = this.#stream;
    const body: Statement[] = [];
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw stream.error("expected fewer blocks in one another");
    for (;;) {
      const { kind, text } = stream.current;
      if (kind === "eof") {
        if (ends.length > 0) throw stream.error(`expected {% ${ends.join(" %} or {% ")} %}`);
        break;
      }
      stream.next();
      if (kind === "text") body.push({ type: "text", text });
      else if (kind === "output") {
        body.push({ type: "output", value: parseTuple(stream) });
        stream.takeEnd();
      } else {
        if (stream.isName(...ends)) break;
        body.push(this.#statement());
      }
    }
    this.#depth -= 1;
    return body;
  }

  /** The body up to the tag `{% end %}`, which is taken with it. */
  #until(end: string): Body {
    const body = this.body([end]);
    this.#stream.next();
    this.#stream.takeEnd();
    return body;
  }

  #statement(): Statement {
    const stream = this.#stream;
    const name = stream.takeName();
    switch (name) {
      case "if":
        return this.#if();
      case "for":
        return this.#for();
      case "set":
        return this.#set();
      case "macro":
        return this.#macro();
      case "call":
        return this.#call();
      case "filter": {
        const filter = parseFilterChain(stream);
        stream.takeEnd();
        return { type: "filter_block", filter, body: this.#until("endfilter") };
      }
      case "with":
        return this.#with();
      case "generation":
        stream.takeEnd();
        return { type: "scope", body: this.#until("endgeneration") };
      case "autoescape":
        parseExpression(stream);
        stream.takeEnd();
        return { type: "scope", body: this.#until("endautoescape") };
      case "block":
        return this.#block();
      case "break":
      case "continue":
        if (this.#loops === 0) throw stream.error(`expected a loop around {% ${name} %}`);
        stream.takeEnd();
        return { type: name };
      default:
        if (others.includes(name)) return this.#refused(name);
        throw stream.error(`there is no tag {% ${name} %}: expected another`);
    }
  }

  #if(): Statement {
    const stream = this.#stream;
    const test = parseTuple(stream, false);
    stream.takeEnd();
    const yes = this.body(["elif", "else", "endif"]);
    const branch = stream.takeName();
    if (branch === "elif") return { type: "if", test, yes, no: [this.#if()] };
    stream.takeEnd();
    if (branch === "endif") return { type: "if", test, yes, no: [] };
    return { type: "if", test, yes, no: this.#until("endif") };
  }

  #for(): Statement {
    const stream = this.#stream;
    const target = parseTarget(stream, false);
    stream.takeName("in");
    const list = parseTuple(stream, false, "recursive");
    const test = stream.skipName("if") ? parseExpression(stream) : undefined;
    const recursive = stream.skipName("recursive");
    stream.takeEnd();
    this.#loops += 1;
    const body = this.body(["endfor", "else"]);
    this.#loops -= 1;
    const has_else = stream.takeName() === "else";
    stream.takeEnd();
    const otherwise = has_else ? this.#until("endfor") : [];
    return { type: "for", target, list, test, recursive, body, otherwise };
  }

  #set(): Statement {
    const stream = this.#stream;
    const target = parseTarget(stream, true);
    if (stream.skipSign("=")) {
      const value = parseTuple(stream);
      stream.takeEnd();
      return { type: "set", target, value };
    }
    const filter = stream.skipSign("|") ? parseFilterChain(stream) : undefined;
    stream.takeEnd();
    return { type: "set_block", target, filter, body: this.#until("endset") };
  }

  #parameters(): readonly Parameter[] {
    const stream = this.#stream;
    const parameters: Parameter[] = [];
    stream.takeSign("(");
    while (!stream.isSign(")")) {
      if (parameters.length > 0) {
        stream.takeSign(",");
        if (stream.isSign(")")) break;
      }
      const name = stream.takeName();
      const otherwise = stream.skipSign("=") ? parseExpression(stream) : undefined;
      if (otherwise === undefined && parameters.at(-1)?.otherwise !== undefined) {
        throw stream.error("a parameter without a default stands behind one with: expected '='");
      }
      parameters.push({ name, otherwise });
    }
    stream.takeSign(")");
    return parameters;
  }

  #macro(): Statement {
    const name = this.#stream.takeName();
    const parameters = this.#parameters();
    this.#stream.takeEnd();
    return { type: "macro", name, parameters, body: this.#outsideLoops("endmacro") };
  }

  #call(): Statement {
    const stream = this.#stream;
    const parameters = stream.isSign("(") ? this.#parameters() : [];
    let call = parseExpression(stream);
    if (call.type !== "call" && stream.isSign("(")) call = parseCall(stream, call);
    if (call.type !== "call") throw stream.error("expected a call");
    stream.takeEnd();
    const body = this.#outsideLoops("endcall");
    return { type: "call_block", call: call as CallOf, parameters, body };
  }

  /** A loop around a macro is not left by what is in the macro. */
  #outsideLoops(end: string): Body {
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#until(end);
    this.#loops = loops;
    return body;
  }

  #with(): Statement {
    const stream = this.#stream;
    const pairs: { target: Target; value: Expression }[] = [];
    while (stream.current.kind !== "end") {
      if (pairs.length > 0) stream.takeSign(",");
      const target = parseTarget(stream, false);
      stream.takeSign("=");
      pairs.push({ target, value: parseExpression(stream) });
    }
    stream.takeEnd();
    return { type: "with", pairs, body: this.#until("endwith") };
  }

  #block(): Statement {
    const stream = this.#stream;
    const name = stream.takeName();
    for (const word of ["scoped", "required"]) stream.skipName(word);
    stream.takeEnd();
    const body = this.body(["endblock"]);
    stream.next();
    stream.skipName(name);
    stream.takeEnd();
    return { type: "block", name, body };
  }

  #refused(name: string): Statement {
    while (this.#stream.current.kind !== "end") this.#stream.next();
    this.#stream.takeEnd();
    return { type: "refused", message: `{% ${name} %}: a chat template has no other templates` };
  }
}
