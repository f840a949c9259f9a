/** What a route says, asked again and again while the view is there and somebody looks at it. */
import { useEffect, useState } from "preact/hooks";
import { getJson, type HttpError } from "../../data/http.ts";

export type Asked<T> = {
  /** The latest answer; it stays while the server is away. */
  readonly answer: T | undefined;
  readonly failure: string | undefined;
};

/** `path` undefined: nothing is asked. */
export function useAsked<T>(path: string | undefined, every_ms: number): Asked<T> {
  const [asked, setAsked] = useState<Asked<T> & { readonly path: string | undefined }>();
  useEffect(() => {
    if (path === undefined) return;
    let isLeft = false;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async () => {
      if (!document.hidden) {
        const next = await getJson<T>(path).then(
          (answer) => ({ path, answer, failure: undefined }),
          (error: HttpError) => ({ path, answer: undefined, failure: error.message }),
        );
        if (isLeft) return;
        setAsked((before) =>
          next.answer === undefined && before?.path === path
            ? { ...next, answer: before.answer }
            : next,
        );
      }
      timer = setTimeout(() => void ask(), every_ms);
    };
    void ask();
    return () => {
      isLeft = true;
      clearTimeout(timer);
    };
  }, [path, every_ms]);
  return asked !== undefined && asked.path === path
    ? asked
    : { answer: undefined, failure: undefined };
}
