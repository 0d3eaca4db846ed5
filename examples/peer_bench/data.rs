//! Arrays in files: elements in row-major order, little-endian, and nothing else.

use std::error::Error;

use kroton::{Array, DType, Element};

/// The element types of the workloads.
pub trait Float: Element {
    /// Of as many bytes as the type has.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Float for f32 {
    fn from_bytes(bytes: &[u8]) -> Option<f32> {
        Some(f32::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Float for f64 {
    fn from_bytes(bytes: &[u8]) -> Option<f64> {
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// Reads arrays, given as a list of shape, path, shape, path …
pub fn read_all<T: Float>(files: &[&str]) -> Result<Vec<Array>, Box<dyn Error>> {
    files
        .chunks(2)
        .map(|pair| if let [shape, path] = pair { read::<T>(shape, path) } else { Err("a path?".into()) })
        .collect()
}

fn read<T: Float>(shape: &str, path: &str) -> Result<Array, Box<dyn Error>> {
    let shape = shape.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let bytes = std::fs::read(path)?;
    let mut array = Array::zeros(T::DTYPE, &shape)?;
    let elements = array.as_mut_slice::<T>()?;
    if bytes.len() != size_of_val(elements) {
        return Err(format!("{path} has {} bytes, not {}", bytes.len(), size_of_val(elements)).into());
    }
    for (element, bytes) in elements.iter_mut().zip(bytes.chunks(size_of::<T>())) {
        *element = T::from_bytes(bytes).ok_or("half an element")?;
    }
    Ok(array)
}

/// Writes an array and says what the file holds, as `f64:2x3`.
pub fn write(array: &Array, path: &str) -> Result<String, Box<dyn Error>> {
    let bytes: Vec<u8> = match array.dtype() {
        DType::F32 => array.as_slice::<f32>()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::F64 => array.as_slice::<f64>()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I64 => array.as_slice::<i64>()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        other => return Err(format!("no workload has results of {other}").into()),
    };
    std::fs::write(path, bytes)?;
    let sizes: Vec<String> = array.shape().iter().map(usize::to_string).collect();
    let shape = if sizes.is_empty() { "-".to_string() } else { sizes.join("x") };
    Ok(format!("{}:{shape}", array.dtype()))
}
