//! Values whose derivatives are not those of their nodes: a batch of them has a derivation of its own, whose regions are
//! the batches of the old ones.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::batching::levels::{Level, Levels};
use crate::batching::order::Order;
use crate::batching::{Batching, well_typed};
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::derivation::{Derivation, Derived};
use crate::graph::{Region, Type};

impl Batching<'_> {
    /// What a value with a derivation becomes.
    ///
    /// # Errors
    /// What an expression carries.
    pub(super) fn remade_value(&mut self, number: usize) -> Result<Expr> {
        let expr = &self.order.entries[number].expr;
        let Some(Derived { of, index }) = expr.derived() else {
            return Err(Error::Internal(format!("`{expr}` has no derivation")));
        };
        let key = Arc::as_ptr(of) as usize;
        if !self.values.contains_key(&key) {
            let derivation = self.remade_derivation(number, of)?;
            self.values.insert(key, Arc::new(derivation).values());
        }
        Ok(self.values[&key][*index].clone())
    }

    fn remade_derivation(&mut self, number: usize, derivation: &Derivation) -> Result<Derivation> {
        let order = self.order;
        let references = &order.entries[number].operands;
        if !self.levels.is_batched(number) {
            let made: Vec<Expr> = references.iter().map(|&reference| self.made(reference).clone()).collect();
            return Ok(derivation.over(&made));
        }
        let outer = self.outer_guard(number);
        let operands = references[..derivation.operands.len()].iter().map(|&operand| self.batched(operand)).collect();
        derivation
            .remade(operands, |region, handles, captured| self.remade_region(region, handles, captured, outer.clone()))
    }

    /// A region whose parameters and results are all batched; what stands for `handles` was made outside.
    fn remade_region(
        &self,
        region: &Region<Expr>,
        handles: &[Expr],
        captured: &[Expr],
        outer: Option<Expr>,
    ) -> Result<Region<Expr>> {
        let mut order = Order::ending_at(handles, captured);
        let results: Vec<usize> = region.results.iter().map(|result| order.add(result)).collect();
        let (mut given, mut raised, mut parameters) = (FxHashMap::default(), Vec::new(), Vec::new());
        for parameter in &region.parameters {
            let batch = Type { dtype: parameter.dtype(), shape: self.behind(parameter.dims()) };
            let batch = self.parameter(batch);
            if let Some(number) = order.number(parameter) {
                given.insert(number, batch.clone());
                raised.push((number, Level::Batched));
            }
            parameters.push(batch);
        }
        for (handle, expr) in handles.iter().zip(captured) {
            if let (Some(inner), Some(outer)) = (order.number(handle), self.order.number(expr)) {
                given.insert(inner, self.made(outer).clone());
                raised.push((inner, self.levels.of(outer)));
            }
        }
        let levels = Levels::new(&order, raised.into_iter());
        let inside = Batching::new(&order, levels, self.size.clone(), given, self.origin);
        let made = Batching { outer, ..inside }.run()?;
        let results: Vec<Expr> = results.into_iter().map(|result| made.batched(result)).collect();
        results.iter().try_for_each(well_typed)?;
        Ok(Region { parameters, results })
    }
}
