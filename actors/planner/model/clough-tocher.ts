/**
 * A smooth surface through scattered points: Clough and Tocher's cubic element on the Delaunay
 * triangles, with gradients that bend the triangles' edges least. What
 * `scipy.interpolate.griddata(method="cubic")` makes.
 * Sources: P. Alfeld, A trivariate Clough–Tocher scheme (1984); G. Nielson, A method for
 * interpolating scattered data based upon a minimum norm network (1983).
 */
import Delaunator from "delaunator";

export type SurfacePoint = { readonly x: number; readonly y: number; readonly value: number };

type Triangle = {
  readonly corners: readonly [number, number, number];
  /** Of the triangle across from each corner, the middle; undefined: the edge is the outermost. */
  readonly across: readonly ({ readonly x: number; readonly y: number } | undefined)[];
};

/** Gradients are good enough when none changes by more than this part of it. */
const TOLERANCE = 1e-6;
const ROUNDS_MAX = 400;
/** A triangle's area, as a part of the area of all, from which on rounding may have made it. */
const FLAT = 1e-12;
/** Rounding may put a point on an edge outside of both triangles. */
const EDGE = 100 * Number.EPSILON;

/** The surface's height; undefined outside of all triangles, of which there may be none. */
export function surfaceThrough(
  points: readonly SurfacePoint[],
): (x: number, y: number) => number | undefined {
  const triangles = trianglesOf(points);
  const gradients = gradientsOf(points, triangles);
  return (x, y) => {
    for (const triangle of triangles) {
      const place = barycentric(points, triangle.corners, x, y);
      if (place.every((part) => part >= -EDGE && part <= 1 + EDGE)) {
        return height(points, gradients, triangle, place);
      }
    }
    return undefined;
  };
}

/** The height of the point that is nearest. */
export function nearestTo(points: readonly SurfacePoint[], x: number, y: number): number {
  let nearest = points[0]!;
  let least = Number.POSITIVE_INFINITY;
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance < least) [nearest, least] = [point, distance];
  }
  return nearest.value;
}

function trianglesOf(points: readonly SurfacePoint[]): Triangle[] {
  const { triangles, halfedges } = Delaunator.from(
    [...points],
    ({ x }) => x,
    ({ y }) => y,
  );
  const cornersOf = (t: number) =>
    [triangles[3 * t]!, triangles[3 * t + 1]!, triangles[3 * t + 2]!] as const;
  const kept = new Set(Array.from({ length: triangles.length / 3 }, (_, t) => t));
  /** The triangle beyond each edge, by the corner that the edge goes out from. */
  const beyond = (t: number) =>
    [0, 1, 2].map((k) => {
      const other = Math.floor(halfedges[3 * t + k]! / 3);
      return kept.has(other) ? other : undefined;
    });
  const flat = flatAt(points);
  // What rounding made of points on one outermost line.
  const isSliver = (t: number) => flat(cornersOf(t)) && beyond(t).includes(undefined);
  for (let sliver: number | undefined; ; ) {
    sliver = [...kept].find(isSliver);
    if (sliver === undefined) break;
    kept.delete(sliver);
  }
  const middleOf = (t: number | undefined) => {
    if (t === undefined) return undefined;
    const [a, b, c] = cornersOf(t).map((corner) => points[corner]!) as [
      SurfacePoint,
      SurfacePoint,
      SurfacePoint,
    ];
    return { x: (a.x + b.x + c.x) / 3, y: (a.y + b.y + c.y) / 3 };
  };
  return [...kept].map((t) => {
    const [first, second, third] = beyond(t).map(middleOf);
    // The edge out from corner k is across from the corner before k.
    return { corners: cornersOf(t), across: [second, third, first] };
  });
}

/** Whether three points are on one line, but for rounding. */
function flatAt(points: readonly SurfacePoint[]) {
  const spread = (values: readonly number[]) => Math.max(...values) - Math.min(...values);
  const box = spread(points.map(({ x }) => x)) * spread(points.map(({ y }) => y));
  return ([a, b, c]: readonly [number, number, number]) => {
    const [pa, pb, pc] = [points[a]!, points[b]!, points[c]!];
    const area = (pb.x - pa.x) * (pc.y - pa.y) - (pc.x - pa.x) * (pb.y - pa.y);
    return Math.abs(area) <= FLAT * box;
  };
}

type Gradients = { readonly x: Float64Array; readonly y: Float64Array };

/** Each point's in turn, from its neighbours' as they are, until none changes any more. */
function gradientsOf(points: readonly SurfacePoint[], triangles: readonly Triangle[]): Gradients {
  const neighbours = points.map(() => new Set<number>());
  for (const { corners } of triangles) {
    for (const a of corners) for (const b of corners) if (a !== b) neighbours[a]!.add(b);
  }
  const found = { x: new Float64Array(points.length), y: new Float64Array(points.length) };
  for (let round = 0; round < ROUNDS_MAX; round++) {
    let largest = 0;
    for (let i = 0; i < points.length; i++) {
      const next = gradientAt(points, neighbours[i]!, found, i);
      if (next === undefined) continue;
      const change = Math.max(Math.abs(found.x[i]! - next.x), Math.abs(found.y[i]! - next.y));
      largest = Math.max(largest, change / Math.max(1, Math.abs(next.x), Math.abs(next.y)));
      found.x[i] = next.x;
      found.y[i] = next.y;
    }
    if (largest < TOLERANCE) break;
  }
  return found;
}

/** Undefined: too few neighbours, as of a point that another one covers. */
function gradientAt(
  points: readonly SurfacePoint[],
  neighbours: ReadonlySet<number>,
  gradients: Gradients,
  i: number,
): { readonly x: number; readonly y: number } | undefined {
  let [xx, xy, yy, right_x, right_y] = [0, 0, 0, 0, 0];
  const here = points[i]!;
  for (const j of neighbours) {
    const there = points[j]!;
    const x = there.x - here.x;
    const y = there.y - here.y;
    const cubed = Math.hypot(x, y) ** 3;
    const slope_there = x * gradients.x[j]! + y * gradients.y[j]!;
    const pull = (6 * (there.value - here.value) - 2 * slope_there) / cubed;
    xx += (4 * x * x) / cubed;
    xy += (4 * x * y) / cubed;
    yy += (4 * y * y) / cubed;
    right_x += pull * x;
    right_y += pull * y;
  }
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 0)) return undefined;
  return {
    x: (yy * right_x - xy * right_y) / determinant,
    y: (xx * right_y - xy * right_x) / determinant,
  };
}

type Place = readonly [number, number, number];

function barycentric(
  points: readonly SurfacePoint[],
  [a, b, c]: readonly [number, number, number],
  x: number,
  y: number,
): Place {
  const [pa, pb, pc] = [points[a]!, points[b]!, points[c]!];
  const whole = (pb.y - pc.y) * (pa.x - pc.x) + (pc.x - pb.x) * (pa.y - pc.y);
  const first = ((pb.y - pc.y) * (x - pc.x) + (pc.x - pb.x) * (y - pc.y)) / whole;
  const second = ((pc.y - pa.y) * (x - pc.x) + (pa.x - pc.x) * (y - pc.y)) / whole;
  return [first, second, 1 - first - second];
}

/**
 * The element's Bernstein form. Names are of Alfeld: c with the powers of the three corners and of
 * the middle, in which each triangle is cut in three.
 */
function height(
  points: readonly SurfacePoint[],
  gradients: Gradients,
  { corners, across }: Triangle,
  place: Place,
): number {
  const [i1, i2, i3] = corners;
  const along = (from: number, to: number) =>
    (points[to]!.x - points[from]!.x) * gradients.x[from]! +
    (points[to]!.y - points[from]!.y) * gradients.y[from]!;
  const c3000 = points[i1]!.value;
  const c0300 = points[i2]!.value;
  const c0030 = points[i3]!.value;
  const c2100 = c3000 + along(i1, i2) / 3;
  const c2010 = c3000 + along(i1, i3) / 3;
  const c1200 = c0300 + along(i2, i1) / 3;
  const c0210 = c0300 + along(i2, i3) / 3;
  const c1020 = c0030 + along(i3, i1) / 3;
  const c0120 = c0030 + along(i3, i2) / 3;
  const c2001 = (c2100 + c2010 + c3000) / 3;
  const c0201 = (c1200 + c0300 + c0210) / 3;
  const c0021 = (c1020 + c0120 + c0030) / 3;
  // Derivatives across an edge are linear along it in the direction of the next triangle's middle,
  // so that the surface does not change when all points are stretched.
  const [g1, g2, g3] = across.map((middle, k) => {
    if (middle === undefined) return -0.5;
    const at = barycentric(points, corners, middle.x, middle.y);
    const [next, after] = [at[(k + 1) % 3]!, at[(k + 2) % 3]!];
    return (2 * after + next - 1) / (2 - 3 * after - 3 * next);
  }) as [number, number, number];
  const edge = (g: number, a: number, b: number, c: number, d: number, inner: number) =>
    (g * (-a + 3 * b - 3 * c + d) + (-a + 2 * b - c + inner)) / 2;
  const c0111 = edge(g1, c0300, c0210, c0120, c0030, c0021 + c0201);
  const c1011 = edge(g2, c0030, c1020, c2010, c3000, c2001 + c0021);
  const c1101 = edge(g3, c3000, c2100, c1200, c0300, c2001 + c0201);
  const c1002 = (c1101 + c1011 + c2001) / 3;
  const c0102 = (c1101 + c0111 + c0201) / 3;
  const c0012 = (c1011 + c0111 + c0021) / 3;
  const c0003 = (c1002 + c0102 + c0012) / 3;
  const least = Math.min(...place);
  const [b1, b2, b3] = place.map((part) => part - least) as [number, number, number];
  const b4 = 3 * least;
  return (
    b1 ** 3 * c3000 +
    b2 ** 3 * c0300 +
    b3 ** 3 * c0030 +
    b4 ** 3 * c0003 +
    3 * b1 ** 2 * (b2 * c2100 + b3 * c2010 + b4 * c2001) +
    3 * b2 ** 2 * (b1 * c1200 + b3 * c0210 + b4 * c0201) +
    3 * b3 ** 2 * (b1 * c1020 + b2 * c0120 + b4 * c0021) +
    3 * b4 ** 2 * (b1 * c1002 + b2 * c0102 + b3 * c0012) +
    6 * b4 * (b1 * b2 * c1101 + b1 * b3 * c1011 + b2 * b3 * c0111)
  );
}
