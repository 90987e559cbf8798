//! e^x, erf(x) and tanh(x) of vectors.
//!
//! All calls are always inlined: the same functions of `rten-vecmath` are as precise, but their
//! inner calls are sometimes not inlined, and then they take three times as long.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use rten_simd::Isa;
use rten_simd::Simd;
use rten_simd::ops::BitOps;
use rten_simd::ops::FloatOps;
use rten_simd::ops::IntOps;
use rten_simd::ops::NumOps;

/// Computes e^x for x <= 0, to 2 ulp; e^-86 for x < -86; NaN stays NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r is the Taylor polynomial of degree 7, whose error is
/// 5e-9, and n is added to its exponent. (Cody and Waite, Software Manual for the Elementary
/// Functions, 1980, chapter 6.)
#[inline(always)]
pub(super) fn exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let ops = isa.f32();
    let least = ops.splat(-86.0);
    // Not a maximum instruction, which would hide NaN on some processors.
    let x = ops.select(least, x, ops.lt(x, least));
    let rounder = ops.splat(ROUNDER);
    let shifted = ops.mul_add(x, ops.splat(std::f32::consts::LOG2_E), rounder);
    let n = ops.sub(shifted, rounder);
    let r = ops.mul_add(n, ops.splat(-LN_2_HIGH), x);
    let r = ops.mul_add(n, ops.splat(-LN_2_LOW), r);
    let mut sum = ops.splat(TAYLOR[0]);
    for coefficient in &TAYLOR[1..] {
        sum = ops.mul_add(sum, r, ops.splat(*coefficient));
    }
    // The lowest bits of `shifted` are n; the shift drops all others.
    let exponent = isa.i32().shift_left::<23>(I::I32::from_bits(shifted.to_bits()));
    let sum = isa.i32().add(I::I32::from_bits(sum.to_bits()), exponent);
    I::F32::from_bits(sum.to_bits())
}

/// Computes erf(x) to within 7e-7.
///
/// 1 - (a1 t + ... + a5 t^5) e^(-x^2) with t = 1 / (1 + p |x|). (Abramowitz and Stegun, Handbook of
/// Mathematical Functions, 1964, formula 7.1.26.)
#[inline(always)]
pub(super) fn erf<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let ops = isa.f32();
    let magnitude = ops.abs(x);
    let t = ops.div(ops.one(), ops.mul_add(magnitude, ops.splat(ERF_P), ops.one()));
    let mut sum = ops.splat(ERF_A[0]);
    for coefficient in &ERF_A[1..] {
        sum = ops.mul_add(sum, t, ops.splat(*coefficient));
    }
    let tail = exp(isa, ops.neg(ops.mul(magnitude, magnitude)));
    let result = ops.sub(ops.one(), ops.mul(ops.mul(sum, t), tail));
    ops.select(ops.neg(result), result, ops.lt(x, ops.zero()))
}

/// Computes tanh(x) to within 2e-7: (1 - e^(-2 |x|)) / (1 + e^(-2 |x|)) with the sign of x.
#[inline(always)]
pub(super) fn tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let ops = isa.f32();
    let falling = exp(isa, ops.mul(ops.abs(x), ops.splat(-2.0)));
    let result = ops.div(ops.sub(ops.one(), falling), ops.add(ops.one(), falling));
    ops.select(ops.neg(result), result, ops.lt(x, ops.zero()))
}

/// 1.5 x 2^23: added to a number of at most 2^22, it leaves no bits for a fraction, so the sum is
/// rounded to an integer.
const ROUNDER: f32 = 12_582_912.0;

/// ln 2 to so few bits that n times it is exact.
const LN_2_HIGH: f32 = 0.693_359_4;

/// The rest of ln 2.
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// 1/7! to 1/0!.
const TAYLOR: [f32; 8] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

const ERF_P: f32 = 0.327_591_1;

/// a5 to a1.
const ERF_A: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
