//! Element-wise activation functions.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use ndarray::ArrayViewMut2;
use rten_simd::Isa;
use rten_simd::SimdOp;
use rten_simd::functional::simd_apply;
use rten_simd::ops::BitOps;
use rten_simd::ops::NumOps;

use crate::model::config::HiddenAct;
use crate::model::ops::exp::erf;
use crate::model::ops::exp::tanh;
use crate::model::ops::panel;

/// The activation applied to the result of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    None,
    /// x/2 (1 + erf(x / sqrt 2)), with erf to within 7e-7.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    Relu,
    Tanh,
}

impl From<HiddenAct> for Activation {
    fn from(hidden_act: HiddenAct) -> Self {
        match hidden_act {
            HiddenAct::Gelu => Self::Gelu,
            HiddenAct::GeluTanh => Self::GeluTanh,
            HiddenAct::Relu => Self::Relu,
        }
    }
}

impl Activation {
    /// Applies the activation to every number in place.
    pub(super) fn apply(self, rows: ArrayViewMut2<'_, f32>) {
        if self != Self::None {
            Activate { activation: self, rows }.dispatch();
        }
    }
}

/// Applies a function to each number in place, with SIMD.
macro_rules! map {
    ($isa:expr, $values:expr, |$x:ident| $outcome:expr) => {
        _ = simd_apply::<_, _, _, 2>(
            $isa.f32(),
            $values,
            #[inline(always)]
            |$x| $outcome,
        )
    };
}

struct Activate<'a> {
    activation: Activation,
    rows: ArrayViewMut2<'a, f32>,
}

impl SimdOp for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let ops = isa.f32();
        for row in 0..self.rows.nrows() {
            let values = panel::slice_mut(&mut self.rows, row);
            match self.activation {
                Activation::None => {}
                Activation::Gelu => map!(isa, values, |x| {
                    let half = ops.mul(x, ops.splat(0.5));
                    let scaled = ops.mul(x, ops.splat(std::f32::consts::FRAC_1_SQRT_2));
                    ops.mul_add(half, erf(isa, scaled), half)
                }),
                Activation::GeluTanh => map!(isa, values, |x| {
                    let half = ops.mul(x, ops.splat(0.5));
                    let cube = ops.mul(ops.mul(x, x), x);
                    let inner = ops.mul_add(cube, ops.splat(0.044_715), x);
                    let scaled = ops.mul(inner, ops.splat(SQRT_2_BY_PI));
                    ops.mul_add(half, tanh(isa, scaled), half)
                }),
                Activation::Tanh => map!(isa, values, |x| tanh(isa, x)),
                // Not a maximum instruction, which would hide NaN on some processors.
                Activation::Relu => {
                    map!(isa, values, |x| ops.select(ops.zero(), x, ops.lt(x, ops.zero())));
                }
            }
        }
    }
}

/// sqrt(2 / pi).
const SQRT_2_BY_PI: f32 = 0.797_884_6;
