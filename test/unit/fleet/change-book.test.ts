/** A change that is asked for again is not done again. */
import { expect, test } from "bun:test";
import { ChangeBook } from "../../../actors/pool/pool.ts";

const named = (name: string, epoch: number, about = "m") => ({ name, epoch, about, asked: 1 });

test("a change is begun once, whether it is under way, done or failed", async () => {
  const book = new ChangeBook();
  let begun = 0;
  const open = Promise.withResolvers<string>();
  const begin = () => {
    begun++;
    return open.promise;
  };
  const first = book.once(named("a", 0), begin);
  expect(book.once(named("a", 0), begin)).toBe(first!);
  expect([begun, book.open]).toEqual([1, 1]);
  open.resolve("done");
  expect(await first).toBe("done");
  expect(await book.once(named("a", 0), begin)).toBe("done");
  expect([begun, book.open]).toEqual([1, 0]);
  const failed = book.once(named("b", 0), () => Promise.reject(new Error("no room")));
  await expect(failed).rejects.toThrow("no room");
  await expect(book.once(named("b", 0), begin)!).rejects.toThrow("no room");
  // Without a name nobody can ask for the same.
  await book.once(named("", 0), begin);
  await book.once(named("", 0), begin);
  expect(begun).toBe(3);
});

test("who decides no more is refused; a person always decides", async () => {
  const book = new ChangeBook();
  const done = () => Promise.resolve(1);
  expect(await book.once(named("a", 5), done)).toBe(1);
  expect(book.once(named("b", 4), done)).toBeUndefined();
  expect(await book.once(named("c", 5), done)).toBe(1);
  expect(await book.once(named("d", 0), done)).toBe(1);
  expect(await book.once(named("e", 6), done)).toBe(1);
  // What is known already is only told.
  expect(await book.once(named("a", 5), done)).toBe(1);
  expect(book.epoch).toBe(6);
});

test("a thousand changes are remembered beside those under way", async () => {
  const book = new ChangeBook();
  let begun = 0;
  const never = new Promise<number>(() => {});
  const begin = async () => ++begun;
  const open = book.once(named("open", 0), () => never);
  for (let i = 0; i < 1_500; i++) await book.once(named(`c${i}`, 0), begin);
  expect(book.once(named("open", 0), begin)).toBe(open!);
  expect(await book.once(named("c1499", 0), begin)).toBe(1_500);
  expect(await book.once(named("c0", 0), begin)).toBe(1_501);
});
