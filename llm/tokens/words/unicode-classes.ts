/**
 * The class of every code point, as the pre-tokenizers of llama.cpp see it (Unicode 15, its
 * `src/unicode-data.cpp`). Kept as a table because the regular expressions of a JavaScript engine
 * follow newer Unicode versions, and a letter added there would change token ids here.
 */

export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
export const MARK = 3;
export const PUNCTUATION = 4;
export const SYMBOL = 5;
export const WHITESPACE = 6;

const CODE_POINTS = 0x110000;
const CLASSES = 7;

/** Runs from code point 0 up, in base 36: length of the run × 7 + its class. */
const RUNS =
  "1r,15,3i,d,p,c,1a,c,w,20,i,q,i,53,p,c,b,c,53,b,c,b,c,16,d,52,d,b,14,b,j,8,b,c,7,x,g,c,8,i,c,9," +
  "8,b,n,b,4i,c,62,c,2h3,x,2d,2v,10,1i,8,c,8,3g,lv,10,c,f,e,t,b,8,s,j,8,b,m,7,8,7,3x,7,g6,c,r2,c," +
  "1g,wb,7,7f,e,8,1a,80,i,e,q,7,8u,b,a,b,h,b,h,b,a,1k,5a,s,t,i,3b,q,i,c,i,j,28,b,7,p,8e,46,20,w," +
  "f,a,ja,b,8,1g,7,c,19,f,h,c,v,f,20,m,j,8,2u,e,8,a,5v,5c,e,hc,28,8,2q,20,6g,1u,f,c,p,8,e,a,j,4b," +
  "v,8,1u,8,o,8,12,e,31,7,4w,o,e,b,7,26,z,4p,c,17,1r,1n,87,4r,7,6i,aj,o,8,3l,8,1g,1z,h,i,20,b,35," +
  "o,7,1l,e,f,e,4b,7,1e,7,8,l,t,e,a,8,1g,e,h,e,o,8,1k,a,s,f,7,m,h,e,20,f,j,18,j,8,b,a,e,o,7,17,s," +
  "f,e,4b,7,1e,7,f,7,f,7,f,e,a,7,12,s,h,e,o,l,a,1d,t,7,8,1d,20,h,m,a,b,1y,o,7,1s,7,m,7,4b,7,1e,7," +
  "f,7,10,e,a,8,1n,7,o,7,o,e,8,2x,f,h,e,20,b,c,1d,8,19,7,o,7,1l,e,f,e,4b,7,1e,7,f,7,10,e,a,8,1g," +
  "e,h,e,o,1d,o,s,f,7,m,h,e,20,c,8,18,1y,a,8,7,17,l,m,7,t,l,f,7,8,7,f,l,f,l,m,l,2d,s,12,l,o,7,v," +
  "e,8,16,a,2q,2l,1p,z,12,1l,7,m,7,4i,7,35,e,a,8,1g,7,o,7,v,1d,h,7,m,e,8,e,f,h,e,20,1d,b,1f,c,8," +
  "o,b,1l,7,m,7,4i,7,1z,7,10,e,a,8,1g,7,o,7,v,1d,h,16,f,7,f,h,e,20,7,f,a,2c,v,1s,7,m,7,80,h,8,1g," +
  "7,o,7,v,8,c,s,m,a,1f,m,h,e,3r,c,17,7,o,7,3j,l,4p,7,1s,7,8,e,1e,l,a,s,19,7,a,7,1n,16,20,e,h,b," +
  "2c,9d,a,f,1g,s,c,1e,1n,b,20,i,77,f,7,8,7,10,7,4p,7,8,7,1z,a,f,1u,8,e,10,7,8,7,1g,7,20,e,t,68," +
  "8,q,31,c,b,q,h,1b,3y,c,a,c,a,c,a,w,h,1l,7,71,s,3z,b,h,10,28,7,73,7,1p,a,1b,7,j,13,x,i,77,8e," +
  "3z,8,20,1a,17,v,t,o,8,o,f,1g,m,v,2k,2f,8,a,20,v,j,7f,7,8,z,8,e,8e,b,1ss,7,t,e,1e,7,8,7,t,e,80," +
  "7,t,e,6g,7,t,e,1e,7,8,7,t,e,2y,7,b4,7,t,e,d2,e,o,1v,3y,l,35,23,16,gr,e,17,e,b,3cl,c,b,3c,d,53," +
  "i,l,em,p,n,1l,1d,3j,v,1r,3q,o,i,1r,3j,h,2c,2k,7,m,7,h,2c,a5,6b,p,8,p,c,8,a,e,20,16,20,16,29,o," +
  "7,a,20,16,hc,1d,10,h,6n,a,8,z,dn,1y,62,7,2f,s,2f,s,c,l,i,20,5v,e,10,25,8l,s,53,16,27,l,6r,4i," +
  "12,e,i,ac,21,7,5q,e,a,20,16,20,16,1h,8,1a,e,64,9j,12,96,3e,1l,l,20,1h,23,1u,1w,i,7,o,5v,2m,f," +
  "20,8l,2t,1k,w,71,3z,l,13,20,l,m,20,71,i,1s,1d,8e,e,m,1o,1k,o,b,46,t,a,17,a,f,o,8,z,11d,cj,1i3," +
  "e,17,e,7f,e,17,e,1l,7,8,7,8,7,8,7,62,e,ac,7,1e,c,8,q,m,7,1e,q,t,e,17,7,q,2k,q,e,m,7,1e,j,7,2b," +
  "z,4s,k,z,d,40,c,2n,c,2g,d,34,9,8,e,18,q,i,8,20,q,i,7,2k,l,6k,2x,6i,2x,j,8,x,8,j,1z,c,8,q,10," +
  "1b,8,c,8,c,8,c,t,c,26,j,t,14,10,x,8,c,9z,f,11,j,s,219,w,5s,i,1d5,4v,2a,43,bq,fb,4c,3bx,2u,5w," +
  "9o,i,66,22,26i,4e,ce,w,6d,i,20v,e,6d,7,kk,18k,1b,t,o,f,z,w,9,i,7f,7,8,z,8,e,ax,1d,8,b,2q,a,4i," +
  "1r,1e,7,1e,7,1e,7,1e,7,1e,7,1e,7,1e,7,1e,7,6b,99,8,6c,j,2g,6m,57,7,hg,2c,15r,52,39,d,p,c,f,9," +
  "22,j,2g,c,1t,19,b,10,j,n,f,b,j,7,gr,e,h,j,m,b,hj,b,t,z,8e,7,ib,7,j,u,23,69,75,25,c,35,66,7,20," +
  "5z,1m,c,2z,6d,20,7q,2z,1qd,zlt,cl,3boc,l,au,1r,8z,i,1gc,p,35,20,f,3w,96,v,b,21,b,62,h,dn,20,h," +
  "1a,1k,4m,1s,j,k2,j,ch,z,f,7,8,7,10,4o,35,a,m,a,t,a,4i,12,x,a,l,18,x,16,a5,w,1k,h,9r,3l,1k,i," +
  "20,16,3l,17,p,8,b,f,a,20,5h,1n,i,4i,2m,25,b,5o,l,v,96,2t,2n,7,8,20,s,i,10,a,1z,20,10,7,80,2t," +
  "1r,m,a,1l,h,e,20,e,w,4i,q,8,o,9r,a,8,o,f,h,10,h,8,a,8,4o,m,i,26,12,i,m,h,1y,17,e,17,e,17,1r," +
  "1e,7,1e,7,8e,c,2r,j,s,me,1n,b,h,e,20,16,1ocd,2c,4i,s,9k,19ng,1z7,e,kn,7e,1e,2c,10,z,8,a,1z,c," +
  "2k,7,10,7,8,7,f,7,f,7,l1,3g,34,1ym,i,39,ch,e,aj,1d,c,68,2d,x,37,22,16,37,6x,7,2u,c,b,q,7,b,c," +
  "i,s,10,7,qa,s,p,c,1a,c,w,20,i,q,i,53,p,c,b,c,53,b,c,b,c,1h,hc,l,17,e,17,e,17,e,m,l,1i,7,1i,2j," +
  "j,e,2d,7,53,7,3q,7,f,7,2y,e,2r,6m,ny,z,p,s,8t,l,1w,b5,3g,g,q,7,2o,l,c,95,8w,a,pa,5o,l,9k,2x,a," +
  "5b,s,69,u,1r,3x,9,1l,9,z,7f,12,z,5v,7,b,71,s,1l,b,11,86,ur,e,20,16,71,s,71,s,7t,1k,a5,25,b,26," +
  "7,2y,7,1e,7,f,7,26,7,2y,7,1e,7,f,d1,1oi,1r,4b,1y,1l,4o,17,7,87,7,1s,df,17,e,8,7,8l,7,f,l,8,e," +
  "4i,7,b,1m,4i,j,1f,62,1k,1t,9c,3q,7,f,z,11,4b,18,l,b,53,z,b,cg,ax,s,g,f,36,e,90,8,o,7,h,z,v,t," +
  "7,m,7,5o,e,o,s,a,1t,1d,1v,1d,5o,g,b,5o,n,68,1l,c,5h,h,s,11,1h,1r,aj,l,1h,4b,e,1m,3q,z,1m,3j," +
  "1d,w,2c,1f,fk,e8,ap,9y,2j,9y,1d,18,71,v,1k,20,1l6,63,7,87,7,h,b,e,f,el,o,5o,20,8,1k,4b,28,u," +
  "13,4a,3j,v,w,7e,44,1f,3w,4i,1r,o,ac,30,1h,s,5w,a,f,h,8,1r,v,8s,28,i,7,w,a,2j,4w,1d,20,16,o,71," +
  "2t,7,20,w,8,h,8,1k,6u,a,i,8,1r,o,9d,2t,t,w,v,b,h,20,8,b,8,p,7,3y,25,3j,7,4w,2f,1a,a,f,a,c2,1e," +
  "7,8,7,t,7,2y,7,1z,b,16,96,2f,z,20,16,v,7,1l,e,f,e,4b,7,1e,7,f,7,10,7,h,8,1g,e,h,e,o,e,8,16,a," +
  "z,10,h,e,1g,l,12,r1,ac,3l,t,13,20,i,7,b,a,m,5u,9d,3z,f,b,8,1k,20,wa,96,1g,e,1u,4l,t,h,6m,9d," +
  "3e,p,8,25,20,16,2n,3p,8e,2m,8,b,16,20,ai,5a,e,30,s,2e,p,c,1e,zz,8l,30,b,jg,ch,3r,2c,1l,e,8,e," +
  "1l,7,f,7,4p,19,7,h,e,v,8,a,8,h,p,1r,20,dm,1l,e,7m,1g,e,1g,8,b,8,a,59,8,21,7t,1g,8,v,1o,a,1k,8," +
  "28,8z,37,p,8,13,2j,e8,1d,22,1bu,1s,7,78,1n,7,1n,8,13,1y,5p,l,i,5v,e,4d,7,2t,e7,1e,7,f,7,7f,19," +
  "l,a,7,h,7,1g,8,a,1k,20,16,17,7,f,7,69,12,7,h,7,12,8,1d,20,1oa,3q,v,i,1d,h,8,a,2k,7,6n,1g,l,12," +
  "2n,20,gq,8,2x,45,5s,2j,b,4zb,ju,ln,7,13,25,125,e8k,iw,i,2j,5sh,34,a,17,30,lnq,35e,1amn,32o,1d," +
  "62,7,20,s,i,fe,7,20,16,5v,e,12,b,1y,9d,1g,13,x,t,b,c,1y,20,7,1f,7,44,z,3q,3ps,ch,4j,w,jn,em,s," +
  "a,8,as,1d,v,2k,cg,f,b,8,a,25,h,2q,x55,1k,6or,86,1s,1c9d,t,7,1e,7,f,7,1km,2x,8,5n,m,e,8,2q,t," +
  "1k,251,cgs,ku,z,2k,l,1s,1d,1z,e,c,h,b,peo,91,e,4k,1r,mp,bo,1bz,1y,7q,e,bt,12,q,19,1k,1n,j,1g," +
  "5z,v,c0,43,cz,o,c,nq,3y,2c,3y,2c,h2,1r,4x,q9,gk,7,du,7,f,e,8,e,f,e,t,7,2d,7,8,7,1e,7,co,7,t,e," +
  "1l,7,1e,7,5h,7,t,7,10,7,8,l,1e,7,1u5,e,4w,c,4w,c,62,c,4w,c,62,c,4w,c,62,c,4w,c,62,c,4w,c,1l,e," +
  "9s,2rp,as,x,9t,1p,a,2v,a,j,13,2x,12,7,30,5yo,62,16,17,15f,1g,7,3e,e,1g,7,h,7,12,z,c3,6f,a,ls," +
  "8s,l,1g,1e,e,20,s,8,c,1q8,5v,a,3b,8l,v,20,z,c,2i8,5h,v,20,40a,1e,7,t,7,f,7,2y,7,12c,e,1t,1g," +
  "7z,d9,1g,8,s,20,s,i,48n,bj,c,n,c,u,es,8t,c,2z,11q,t,7,5a,7,f,7,8,e,8,7,1z,7,t,7,8,7,8,16,8,s," +
  "8,7,8,7,8,7,m,7,f,7,8,e,8,7,8,7,8,7,8,7,8,7,f,7,8,e,t,7,1e,7,t,7,t,7,8,7,1z,7,3c,z,m,7,10,7," +
  "3c,a4,j,1gi,8p,s,jl,2c,32,e,32,7,32,7,7c,1y,2l,vg,aw,5s,2j,8p,s,1w,1d,j,2q,1b,ty,5bh,s,3g,l," +
  "2o,l,na,s,im,16,2h,s,c,2x,2h,s,b1,1k,23,16,7x,1k,5z,e,j,f6,1u9,2c,2v,e,2o,l,1w,1d,93,7,1i,1k," +
  "2v,s,1w,1d,1w,1d,sq,7,au,77,20,5ka,6eqp,68,mfr,16,177,e,v4f,2q,14d4,2x,3cz,dbi,2xf,84u,qoe,z," +
  "mn5,2ytrk,1ar,tf8w";

let table: Uint8Array | undefined;

/** Class by code point, 0x110000 entries; built on first use (1 ms) and shared. */
export function unicodeClasses(): Uint8Array {
  if (table !== undefined) return table;
  const built = new Uint8Array(CODE_POINTS);
  let at = 0;
  for (const run of RUNS.split(",")) {
    const value = Number.parseInt(run, 36);
    const end = at + Math.floor(value / CLASSES);
    built.fill(value % CLASSES, at, end);
    at = end;
  }
  if (at !== CODE_POINTS) throw new RangeError(`the class table ends at ${at}`);
  table = built;
  return built;
}
