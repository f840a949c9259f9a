/** The `strftime` of chat templates. */

const MONTHS =
  "January February March April May June July August September October November December".split(
    " ",
  );
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** Python's strftime for what templates use, in UTC and English; unknown letters stay. */
export function formatTime(unix_ms: number, format: string): string {
  const { year, month, day, weekday, hour, minute, second } = civilTime(unix_ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const values: Record<string, string> = {
    Y: String(year),
    y: two(year % 100),
    m: two(month),
    d: two(day),
    e: String(day).padStart(2, " "),
    B: MONTHS[month - 1]!,
    b: MONTHS[month - 1]!.slice(0, 3),
    A: DAYS[weekday]!,
    a: DAYS[weekday]!.slice(0, 3),
    H: two(hour),
    I: two(hour % 12 === 0 ? 12 : hour % 12),
    M: two(minute),
    S: two(second),
    p: hour < 12 ? "AM" : "PM",
    "%": "%",
  };
  const plain = format.replaceAll(/%-([dmHIMS])/g, (_, letter: string) =>
    String(Number(values[letter])),
  );
  return plain.replaceAll(/%(.)/g, (whole, letter: string) => values[letter] ?? whole);
}

/** Calendar fields of a Unix time, by the days-to-civil algorithm of Howard Hinnant. */
function civilTime(unix_ms: number): {
  year: number;
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
  second: number;
} {
  const days = Math.floor(unix_ms / 86_400_000);
  const seconds = Math.floor((unix_ms - days * 86_400_000) / 1000);
  const shifted = days + 719_468; // days since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const day_of_era = shifted - era * 146_097;
  const leaps = Math.floor(day_of_era / 1460) - Math.floor(day_of_era / 36_524);
  const year_of_era = Math.floor((day_of_era - leaps - Math.floor(day_of_era / 146_096)) / 365);
  const before = 365 * year_of_era + Math.floor(year_of_era / 4) - Math.floor(year_of_era / 100);
  const day_of_year = day_of_era - before;
  const shifted_month = Math.floor((5 * day_of_year + 2) / 153);
  const month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {
    year: year_of_era + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: day_of_year - Math.floor((153 * shifted_month + 2) / 5) + 1,
    weekday: (((days + 4) % 7) + 7) % 7,
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: seconds % 60,
  };
}
