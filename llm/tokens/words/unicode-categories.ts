import { LETTER, MARK, NUMBER, OTHER, PUNCTUATION, SYMBOL, WHITESPACE } from "./unicode-classes.ts";

/**
 * The general category of every code point as Hugging Face's `tokenizers` 0.23 sees it in patterns
 * (Oniguruma's tables, Unicode 16). llama.cpp's classes follow Unicode 15 and a JavaScript engine's
 * regular expressions newer versions, and a letter added there would change token ids here.
 */
export const CATEGORY = {
  other: 0,
  Lu: 1,
  Ll: 2,
  Lt: 3,
  Lm: 4,
  Lo: 5,
  M: 6,
  N: 7,
  P: 8,
  S: 9,
  /** Characters that `\s` matches: the property White_Space. */
  blank: 10,
} as const;

const CODE_POINTS = 0x110000;
const KINDS = 12;
/** A run of letters that are upper and lower case in turn, the first one upper case. */
const IN_TURN = 11;

/** Runs from code point 0 up, in base 36: length of the run × 12 + its category. */
const RUNS =
  "30,1y,60,m,18,l,28,l,1k,3j,w,19,w,8p,18,l,k,l,8q,k,l,k,l,20,m,8o,m,k,1x,k,x,h,k,l,c,1l,v,l,e," +
  "w,l,j,h,k,17,k,7p,l,2d,82,l,2q,iz,e,5n,e,fz,2b,q,d,1z,d,e,11,q,1d,e,p,e,11,12,p,e,d,2n,1n,e,d," +
  "e,p,e,p,1z,d,q,h,d,12,1h,d,f,e,d,f,e,d,f,e,5n,e,6b,e,d,f,e,d,e,p,kb,22,p,e,p,q,d,e,11,3n,mq,h," +
  "92,64,1l,44,4x,1s,2l,g,l,g,5x,11i,1n,g,l,d,e,o,g,12,k,d,1c,x,d,k,11,c,d,c,p,e,5p,c,31,bq,d,q," +
  "11,12,8b,1e,d,e,l,d,e,p,q,h1,g2,bn,l,2i,in,4z,e,wb,c,cp,o,g,28,dq,w,o,19,c,f6,k,i,k,u,k,u,k,i," +
  "2o,95,1c,1h,w,5o,19,w,l,w,x,3u,k,c,18,at,g,3h,76,3j,1k,t,i,x5,k,h,2i,c,l,26,s,u,l,1i,t,3j,15," +
  "x,h,4w,o,h,i,a5,96,o,tt,3u,h,4o,3j,b5,36,s,l,18,g,o,i,x,7h,1i,g,36,g,16,g,1u,o,58,c,8h,16,o,k," +
  "c,3t,1o,85,l,25,2o,36,dt,g,86,c,b6,i5,16,h,66,h,2i,3h,u,w,3j,k,g,55,16,c,2t,o,t,o,7h,c,2h,c,h," +
  "10,1h,o,i,h,2i,o,u,o,16,h,2o,i,1c,t,c,15,u,o,3j,t,x,27,x,h,k,i,o,16,c,25,1c,t,o,7h,c,2h,c,t,c," +
  "t,c,t,o,i,c,1u,1c,u,o,16,10,i,2c,1h,c,h,2c,3j,u,15,i,k,3c,16,c,35,c,15,c,7h,c,2h,c,t,c,1t,o,i," +
  "h,2u,c,16,c,16,o,h,50,t,u,o,3j,k,l,2c,h,26,c,16,c,2t,o,t,o,7h,c,2h,c,t,c,1t,o,i,h,2i,o,u,o,16," +
  "2c,16,1c,t,c,15,u,o,3j,l,h,27,3c,i,h,c,25,10,15,c,1h,10,t,c,h,c,t,10,t,10,15,10,45,1c,1u,10," +
  "16,c,1i,o,h,20,i,4o,4j,2x,1o,1u,2t,c,15,c,7t,c,5h,o,i,h,2i,c,16,c,1i,2c,u,c,15,o,h,o,t,u,o,3j," +
  "2c,k,2j,l,h,16,k,2t,c,15,c,7t,c,3h,c,1t,o,i,h,2i,c,16,c,1i,2c,u,20,t,c,t,u,o,3j,c,t,i,40,1i," +
  "35,c,15,c,dt,u,h,2i,c,16,c,1i,h,l,1c,15,i,2j,15,u,o,6j,l,25,c,16,c,65,10,85,c,35,c,h,o,2h,10," +
  "i,1c,26,c,i,c,2u,20,3j,o,u,k,40,g5,i,t,2i,1c,l,25,g,2u,k,3j,w,cc,t,c,h,c,1t,c,85,c,h,c,3h,i,t," +
  "36,h,o,1t,c,g,c,2i,c,3j,o,1h,ao,h,19,58,l,k,19,u,29,6v,l,i,l,i,l,i,1k,u,2t,c,c5,1c,6u,k,u,1t," +
  "3u,c,c6,c,2x,i,29,c,x,1w,1l,w,cc,eh,6u,h,3j,28,25,1i,1h,16,h,16,t,2i,15,1i,4h,46,h,i,3j,1i,x," +
  "cp,c,d,1o,d,o,ee,k,g,12,31t,c,1h,o,2h,c,h,c,1h,o,dt,c,1h,o,b5,c,1h,o,2h,c,h,c,1h,o,55,c,j5,c," +
  "1h,o,mh,o,16,38,6v,10,5h,3l,20,sp,o,22,o,k,5qt,l,k,5t,m,8t,w,10,p5,18,17,2t,2c,65,1i,30,6h,16," +
  "w,30,65,u,40,4h,c,15,c,u,40,hh,au,18,g,18,l,h,i,o,3j,20,3j,20,3w,16,c,i,3j,20,bt,g,ht,2c,1t,u," +
  "bh,i,h,1o,nh,3c,ah,c,46,1c,46,1c,l,10,w,3j,a5,o,1t,3o,et,1c,8t,20,3v,10,bl,7t,1u,o,w,ht,3i,c," +
  "9u,o,i,3j,20,3j,20,2k,g,28,o,ai,gc,1u,ft,5u,2t,c,w,3j,2k,3l,36,39,18,16,a5,4i,t,3j,et,4u,2o," +
  "1k,c5,6u,10,1w,3j,10,15,3j,a5,24,w,32,d,e,1o,ed,o,11,2w,2o,16,k,76,1h,i,25,i,t,16,h,1o,eq,l4," +
  "4e,g,be,cg,li,1eb,2q,wz,2q,2p,22,o,21,o,2q,2p,2q,2p,22,o,21,o,2q,c,d,c,d,c,d,c,d,2q,2p,4q,o," +
  "2q,2r,2q,2r,2q,2r,1q,c,q,1d,f,l,e,19,12,c,q,1d,f,19,1e,o,q,1d,c,19,2q,1p,19,o,12,c,q,1d,f,x,c," +
  "3y,1o,88,y,1o,m,6w,l,4k,l,48,m,5c,j,g,o,27,19,w,g,3j,19,w,c,4g,10,b9,50,b6,50,x,d,1l,d,x,e,11," +
  "q,11,e,l,d,19,1p,29,d,l,d,l,d,l,1d,l,e,1d,e,1h,e,x,q,p,1x,d,1e,1l,e,l,h7,d,e,1v,x,1c,3hl,1k," +
  "9x,w,2d9,7c,3x,70,k7,q9,7j,5pl,4w,a7,gl,w,al,3k,3ql,7k,l9,1k,ax,w,3gx,o,ax,c,z9,g1,g2,d,e,11," +
  "q,2n,p,1n,e,d,22,s,p,xn,e,29,1n,16,d,e,1o,1k,j,w,cq,c,e,1o,e,o,it,2c,g,k,4o,i,7t,30,2h,c,2h,c," +
  "2h,c,2h,c,2h,c,2h,c,2h,c,2h,c,au,fw,g,aw,x,48,bc,8x,c,tx,40,1zl,8o,5l,m,18,l,g,h,j,3k,x,48,l," +
  "37,26,k,1s,x,17,g,h,k,x,c,st,o,u,x,s,h,k,u5,k,14,h,1o,eh,c,vh,c,x,1j,3l,at,cx,30,l,5h,al,c,3j," +
  "a9,2v,l,57,ax,3j,d9,57,2yx,1p1h,ll,5ekh,g,al5,10,il,30,dh,24,w,2hh,g,18,5h,3j,t,6o,fn,h,1i,k," +
  "3i,k,g,9n,s,u,nh,3j,u,28,2o,7x,34,x,4z,q,kz,g,2q,1z,3n,g,x,1n,h,1n,q,7b,1d,e,1d,5z,p,1z,d,e,o," +
  "d,e,c,e,c,e,2n,70,14,d,e,h,s,e,2h,i,15,i,1h,i,7t,1u,1l,i,10,27,1l,20,hh,1k,2o,u,gt,66,2o,w,3j," +
  "20,66,25,18,h,k,t,i,3j,9h,2u,w,7t,4i,3o,k,9t,10,1i,ft,4u,4k,c,g,3j,1c,w,1t,i,g,35,3j,1t,c,dt," +
  "4u,30,15,i,2t,u,o,3j,o,1k,5h,g,25,19,h,16,gt,i,h,16,t,u,1t,u,h,i,h,80,t,g,w,3t,1u,w,h,s,u,3c," +
  "25,o,25,o,25,30,2h,c,2h,c,ee,l,1g,32,g,x,1c,qq,bt,2u,k,u,o,3j,20,2vg5,40,7t,1c,gh,269c,3e5,o," +
  "zh,co,2e,40,1q,1o,h,i,3h,l,4h,c,1t,c,h,c,t,c,t,c,105,5x,5c,3d5,w,5l,lh,o,i5,2c,l,ao,45,1l,5i," +
  "3k,20,5i,bw,c,4w,l,k,19,c,k,l,w,1c,1t,c,195,1c,18,l,28,l,1k,3j,w,19,w,8p,18,l,k,l,8q,k,l,k,l," +
  "2k,3h,g,f5,s,ah,10,25,o,25,o,25,o,15,10,2l,c,2l,4c,x,o,45,c,8t,c,6h,c,t,c,55,o,4t,bc,155,1o," +
  "18,1c,f7,10,39,j7,5x,v,19,c,4l,10,l,fo,f9,i,17c,9t,10,gh,50,i,97,1c,at,1j,30,6t,j,2t,j,1o,ct," +
  "1u,1o,a5,c,k,c5,1c,2t,k,1v,e0,dd,de,q5,o,3j,20,c1,1c,c2,1c,dh,2o,hh,3o,k,3p,c,51,c,2d,c,p,c," +
  "3q,c,52,c,2e,c,q,10,hh,40,2vt,30,7h,3c,2t,80,24,c,e4,c,34,n0,25,o,h,c,et,c,t,10,h,o,7t,c,k,2v," +
  "7t,x,2j,ah,2o,37,g0,6h,c,t,1o,1v,7h,27,10,k,8t,1o,k,lc,it,1c,v,t,5j,o,fj,h,16,c,u,1o,1i,1h,c," +
  "15,c,9t,o,16,1c,i,37,2c,38,2c,9t,v,k,9t,17,ao,2t,l,9h,u,1c,1v,2k,30,i5,10,2k,7h,o,2v,6h,1o,2v," +
  "65,2c,1k,40,2j,qo,oh,ic,h1,4c,h2,2c,27,c5,1i,2o,3j,20,3j,1h,g,h,7d,10,1u,k,g,7e,2o,x,1xc,aj,c," +
  "e5,c,u,k,o,t,5c,15,ic,1i,9t,3j,h,2o,7h,3u,1j,1w,7c,65,1i,1k,co,75,2j,6o,7t,30,16,ht,56,2k,1c," +
  "a7,i,t,u,h,30,1i,f5,3u,w,c,1k,i,4c,8h,2c,3j,20,16,c5,4u,c,3j,1k,h,u,h,2o,bt,i,w,h,30,16,g5,4u," +
  "1h,1k,1i,k,u,3j,h,k,h,18,c,6v,3o,65,c,8h,46,28,i,t,i,ko,2h,c,h,c,1h,c,55,c,3h,k,20,ft,46,1o," +
  "3j,20,1i,c,2t,o,t,o,7h,c,2h,c,t,c,1t,c,u,h,2i,o,u,o,16,o,h,20,i,1o,1t,u,o,2i,10,1u,3o,3h,c,h," +
  "o,h,c,ct,c,h,36,c,i,o,i,c,1i,c,1u,h,i,h,w,c,w,2o,u,9o,ht,66,1h,1w,3j,w,c,k,i,15,a0,g5,6u,t,k," +
  "h,2o,3j,1jc,ft,2i,o,36,7w,1h,u,bc,g5,5u,18,h,3o,3j,20,4k,6c,eh,4i,h,k,20,3j,20,6v,9c,95,o,56," +
  "1c,47,18,l,2h,1po,et,56,k,xc,ap,aq,6j,40,2t,o,h,o,2t,c,t,c,85,26,c,u,o,1i,h,i,h,u,18,30,3j,nc," +
  "2t,o,d5,2i,o,2i,h,k,h,i,90,h,3i,dh,2i,h,1i,2w,i,2o,h,3u,fh,5i,18,h,1w,4c,oh,2c,3k,1oo,b5,k,4o," +
  "3j,20,35,c,ch,2u,c,2u,h,1w,3c,9v,10,w,a5,o,7i,c,4u,oc,2h,c,t,c,ct,26,10,i,c,u,c,2i,h,i,2o,3j," +
  "20,25,c,t,c,at,1u,c,u,c,1u,h,2c,3j,2vc,6h,1i,w,2c,u,h,i,4h,c,bh,2i,10,1u,4k,3j,i,sc,h,50,77," +
  "9x,4c,k,8jh,y0,117,c,1w,3o,1th,oeo,wh,w,4c,9xh,5c,i,25,56,3c,10zt,1o,5eh,1rcc,a5,66,3j,g20," +
  "59t,2c,ah,c,3j,1c,w,qh,c,3j,20,a5,o,1u,k,3c,g5,2i,1w,1l,1g,k,l,3c,3j,c,2j,c,75,1o,6h,400,14," +
  "dh,s,18,3j,1u0,ap,aq,7v,1k,xo,p5,1c,i,h,ii,2c,1i,4g,lc,s,k,g,i,3o,u,4o,1kth,2o,bgt,do,3h,2aqc," +
  "1g,c,2g,c,s,c,2p5,50,h,9o,15,o,h,4o,1h,2o,3o5,ldc,zt,1o,4h,10,35,2c,3h,o,l,u,k,10g0,289,3j,20," +
  "41l,pc,fi,o,7u,30,12x,k0,2a9,3c,d9,o,k9,1u,19,26,2o,2u,x,2i,a9,1i,kl,70,m9,16,l,14o,6v,40,6v," +
  "40,t9,30,8j,190,8p,8q,8p,2e,c,62,8p,8q,d,c,p,o,d,o,p,o,1d,c,2p,1e,c,e,c,2e,c,3q,8p,8q,p,c,1d," +
  "o,2p,c,2d,c,8q,p,c,1d,c,1p,c,d,10,2d,c,8q,8p,8q,8p,8q,8p,8q,8p,8q,8p,8q,8p,9e,o,8d,l,8e,l,22," +
  "8d,l,8e,l,22,8d,l,8e,l,22,8d,l,8e,l,22,8d,l,8e,l,22,d,e,o,gv,4qx,ii,1l,gu,2x,i,4x,i,x,1w,50," +
  "1u,c,56,a80,3e,h,6q,20,22,1z0,2i,c,5u,o,2i,c,u,c,1u,1o,ks,b0,i,11c,f5,10,2i,2g,o,3j,1c,h,l," +
  "2yo,a5,i,5o,et,1i,3j,1o,l,4ao,95,g,1i,3j,1zc,a5,u,h,3j,1c,k,4g0,2h,c,1h,c,t,c,55,c,1tt,o,37," +
  "2i,do,bd,be,2i,g,1c,3j,1c,w,79o,jv,l,17,l,1j,pc,f7,l,57,1so,1h,c,95,c,t,c,h,o,h,c,3h,c,1h,c,h," +
  "c,h,20,h,1c,h,c,h,c,h,c,15,c,t,c,h,o,h,c,h,c,h,c,h,c,h,c,t,c,h,o,1h,c,2h,c,1h,c,1h,c,h,c,3h,c," +
  "5t,1o,15,c,1t,c,5t,hc,x,2i0,ex,1c,xl,40,59,o,59,c,59,c,cl,3c,4j,1hx,io,9x,4c,ex,1c,39,2c,x,4o," +
  "29,1fc,949,1c,5x,10,4l,10,13x,1c,vx,20,49,1c,l,50,49,1c,ix,2o,3l,20,dl,2o,a9,o,49,1c,x,ko,35l," +
  "40,4x,o,4l,10,3l,1o,ix,2c,59,o,3x,20,39,2c,1d9,c,ux,3j,9jc,azk5,ao,12gt,20,225,o,1hct,4o,1x75," +
  "50,5rh,mu0,50t,dy0,19qh,1o,12th,534qo,286,1efuo";
let categories: Uint8Array | undefined;
let classes: Uint8Array | undefined;

/** Category by code point, 0x110000 entries; built on first use (1 ms) and shared. */
export function unicodeCategories(): Uint8Array {
  if (categories !== undefined) return categories;
  const built = new Uint8Array(CODE_POINTS);
  let at = 0;
  for (const run of RUNS.split(",")) {
    const value = Number.parseInt(run, 36);
    const end = at + Math.floor(value / KINDS);
    const kind = value % KINDS;
    if (kind !== IN_TURN) built.fill(kind, at, end);
    else for (let i = at; i < end; i++) built[i] = (i - at) % 2 === 0 ? CATEGORY.Lu : CATEGORY.Ll;
    at = end;
  }
  if (at !== CODE_POINTS) throw new RangeError(`the category table ends at ${at}`);
  categories = built;
  return built;
}

/** By category: its class in the sense of unicode-classes.ts. */
const CLASS_OF = [
  OTHER,
  LETTER,
  LETTER,
  LETTER,
  LETTER,
  LETTER,
  MARK,
  NUMBER,
  PUNCTUATION,
  SYMBOL,
  WHITESPACE,
];

/** The same table in the classes that the hand-written scanners look at. */
export function categoryClasses(): Uint8Array {
  classes ??= unicodeCategories().map((category) => CLASS_OF[category]!);
  return classes;
}
