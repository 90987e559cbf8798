//! Functions of one number, applied to all of a slice.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use ndarray::ArrayViewMut2;
use rten_simd::Isa;
use rten_simd::SimdOp;
use rten_simd::SimdUnaryOp;
use rten_simd::functional::simd_apply;
use rten_simd::ops::BitOps;
use rten_simd::ops::NumOps;
use rten_vecmath::ApproxGelu;
use rten_vecmath::Tanh;

use crate::model::config::HiddenAct;
use crate::model::ops::exp::erf;
use crate::model::ops::panel;

/// What is done to the outcome of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Activation {
    None,
    /// x/2 (1 + erf(x / sqrt 2)); erf is right to 7e-7.
    Gelu,
    /// With tanh in place of erf.
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
    /// Replaces every number by its outcome.
    pub(super) fn apply(self, rows: ArrayViewMut2<'_, f32>) {
        if self != Self::None {
            Activate { activation: self, rows }.dispatch();
        }
    }
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
                Activation::Gelu => gelu(isa, values),
                Activation::GeluTanh => map(isa, values, &ApproxGelu {}),
                Activation::Tanh => map(isa, values, &Tanh {}),
                Activation::Relu => {
                    let zero = ops.zero();
                    simd_apply::<_, _, _, 1>(
                        ops,
                        values,
                        #[inline(always)]
                        // Not the maximum, which would hide NaN on some processors.
                        |x| ops.select(zero, x, ops.lt(x, zero)),
                    );
                }
            }
        }
    }
}

#[inline(always)]
fn gelu<I: Isa>(isa: I, values: &mut [f32]) {
    let ops = isa.f32();
    simd_apply::<_, _, _, 2>(
        ops,
        values,
        #[inline(always)]
        |x| {
            let scaled = ops.mul(x, ops.splat(std::f32::consts::FRAC_1_SQRT_2));
            let half = ops.mul(x, ops.splat(0.5));
            ops.mul_add(half, erf(isa, scaled), half)
        },
    );
}

#[inline(always)]
fn map<I: Isa>(isa: I, values: &mut [f32], function: &impl SimdUnaryOp<f32>) {
    simd_apply::<_, _, _, 2>(
        isa.f32(),
        values,
        #[inline(always)]
        |x| function.eval(isa, x),
    );
}
