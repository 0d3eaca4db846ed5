//! The arguments of a call: tuples of whatever can be viewed, slices of `Arg`, or none.
//!
//! Nothing is allocated: a tuple becomes an array of `Arg` on the stack. An `Array` passed by value is owned by the
//! call until it ends or a result is made of it, so its `Arg` borrows from the call's own frame; that is why a user of
//! [`Args::with`] sees arguments of a lifetime that is shorter than `'a`.

use crate::array::Array;
use crate::runtime::Arg;
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::donor::Donor;

/// One argument in a tuple: anything that is `Into<Arg>`, or an `Array` by value, whose memory the call may reuse.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a call",
    note = "pass slices, `Vec`s and arrays by reference, as in `f.call((&x,))`; scalars, views and `kroton::Array`s also by value"
)]
pub trait IntoArg<'a> {
    /// What keeps the memory alive during the call.
    #[doc(hidden)]
    type Held;
    /// Takes the argument.
    #[doc(hidden)]
    fn hold(self) -> Self::Held;
    /// Views what was taken.
    #[doc(hidden)]
    fn view(held: &Self::Held) -> Arg<'_>;
}

#[diagnostic::do_not_recommend]
impl<'a, X: Into<Arg<'a>>> IntoArg<'a> for X {
    type Held = Arg<'a>;
    #[inline]
    fn hold(self) -> Arg<'a> {
        self.into()
    }
    #[inline]
    fn view<'h>(held: &'h Arg<'a>) -> Arg<'h> {
        held.lent()
    }
}

impl<'a> IntoArg<'a> for Array {
    type Held = Donor;
    fn hold(self) -> Donor {
        Donor::new(self)
    }
    fn view(held: &Donor) -> Arg<'_> {
        held.view()
    }
}

#[cfg(feature = "gpu")]
impl<'a> IntoArg<'a> for DeviceArray {
    type Held = DeviceArray;
    fn hold(self) -> DeviceArray {
        self
    }
    fn view(held: &DeviceArray) -> Arg<'_> {
        Arg::from(held)
    }
}

/// The arguments of a call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a call",
    label = "not a tuple of arguments",
    note = "pass a tuple, with a comma even for one: `f.call((&x,))`; `()` for none; or a slice of `Arg`"
)]
pub trait Args<'a> {
    /// Runs `f` on the arguments in order.
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R;
}

impl<'a> Args<'a> for &[Arg<'a>] {
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
        f(self)
    }
}

impl<'a, const N: usize> Args<'a> for &[Arg<'a>; N] {
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
        f(self)
    }
}

impl<'a, const N: usize> Args<'a> for [Arg<'a>; N] {
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
        f(&self)
    }
}

impl<'a> Args<'a> for &Vec<Arg<'a>> {
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
        f(self)
    }
}

impl<'a> Args<'a> for () {
    fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
        f(&[])
    }
}

macro_rules! tuples {
    ($($type:ident $index:tt),*) => {
        impl<'a, $($type: IntoArg<'a>),*> Args<'a> for ($($type,)*) {
            fn with<R>(self, f: impl FnOnce(&[Arg<'_>]) -> R) -> R {
                let held = ($(self.$index.hold(),)*);
                f(&[$($type::view(&held.$index)),*])
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
