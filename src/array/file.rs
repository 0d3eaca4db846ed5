//! Arrays in a file, in the safetensors format, and files that appear whole or not at all.
//!
//! A file is untrusted: nothing is allocated before its header, its length and what the reader expects agree. Elements go
//! from an array to the file and from the file into an array without another copy. Hosts are little-endian, as the format
//! is. Must not know graphs.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use miniserde::json::{self, Number, Value};

use crate::array::Array;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::byte_size;

/// The longest header that is read or written, as the format has it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The multiple of bytes at which the elements begin.
const ALIGNMENT: usize = 8;

/// The checksum of the elements.
pub fn checksum(array: &Array) -> u32 {
    crc32fast::hash(array.bytes())
}

/// The checksum of a text.
pub fn checksum_of_text(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

/// Writes a file that takes the place of an older one in one step, when all of it is on the disk.
///
/// # Errors
/// `File`, naming the path.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let all = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = builder().tempfile_in(folder)?;
        let mut buffered = BufWriter::with_capacity(1 << 16, temporary.as_file());
        write(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        sync_folder(folder);
        Ok(())
    };
    all().map_err(|error: io::Error| Error::File(format!("cannot write {}: {error}", path.display())))
}

/// Waits until the names in a folder are on the disk: without that a file may be gone after the machine stops. Not every
/// folder may be opened, nor does every file system do this; the file is in its place all the same, so that is no error.
#[cfg(unix)]
fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Other systems do not open folders; they write names in an order of their own.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) {}

/// Temporary files that become files like any other.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// What a header says of one array.
#[derive(miniserde::Serialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    /// Where its elements begin and end behind the header.
    data_offsets: (u64, u64),
}

impl Entry {
    fn of(value: &Value) -> Option<Entry> {
        let Value::Object(fields) = value else { return None };
        let Value::String(dtype) = fields.get("dtype")? else { return None };
        let numbers = |name: &str| match fields.get(name)? {
            Value::Array(numbers) => numbers.iter().map(number).collect::<Option<Vec<u64>>>(),
            _ => None,
        };
        let shape = numbers("shape")?.into_iter().map(|size| usize::try_from(size).ok()).collect::<Option<_>>()?;
        let &[start, end] = numbers("data_offsets")?.as_slice() else { return None };
        Some(Entry { dtype: dtype.clone(), shape, data_offsets: (start, end) })
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(Number::U64(number)) => Some(*number),
        _ => None,
    }
}

/// The key of a header under which there is no array but remarks.
const REMARKS: &str = "__metadata__";

/// Writes arrays by name, wide elements first, so that all are aligned where the file is mapped.
///
/// # Errors
/// What the writer says, and before anything is written that the header would be longer than readers take.
pub fn write(to: &mut dyn Write, arrays: &[(String, Array)]) -> io::Result<()> {
    write_within(LONGEST_HEADER, to, arrays)
}

fn write_within(longest: u64, to: &mut dyn Write, arrays: &[(String, Array)]) -> io::Result<()> {
    let mut arrays: Vec<&(String, Array)> = arrays.iter().collect();
    arrays.sort_by_key(|(_, array)| std::cmp::Reverse(array.dtype().size()));
    let mut end = 0;
    let mut entries = BTreeMap::new();
    for (name, array) in &arrays {
        let start = end;
        end += array.bytes().len() as u64;
        let (dtype, shape) = (spelled(array.dtype()).to_string(), array.shape().to_vec());
        entries.insert(name, Entry { dtype, shape, data_offsets: (start, end) });
    }
    let mut header = json::to_string(&entries).into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    if header.len() as u64 > longest {
        let (count, bytes) = (arrays.len(), header.len());
        let message = format!("{count} arrays have a header of {bytes} bytes, and at most {longest} are read again");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    to.write_all(&(header.len() as u64).to_le_bytes())?;
    to.write_all(&header)?;
    arrays.iter().try_for_each(|(_, array)| to.write_all(array.bytes()))
}

/// A file of arrays, of which the header has been read.
pub struct Reader {
    path: PathBuf,
    file: File,
    /// Where the elements begin.
    start: u64,
    entries: BTreeMap<String, Entry>,
    /// Those that were read, with their checksums.
    taken: RefCell<HashMap<String, (Array, u32)>>,
}

impl Reader {
    /// Opens a file, and checks its header.
    ///
    /// # Errors
    /// `File`, naming the path, if there is no such file, or if its header or its length is not that of arrays.
    pub fn open(path: &Path) -> Result<Reader> {
        let shown = path.display();
        let unreadable = |error: io::Error| Error::File(format!("cannot read {shown}: {error}"));
        let damaged = |what: String| {
            Error::File(format!("{shown} is no whole file of arrays ({what}): it was cut short, or damaged"))
        };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut size = [0; 8];
        (&file).read_exact(&mut size).map_err(|_| damaged(format!("it has {length} bytes")))?;
        let size = u64::from_le_bytes(size);
        let start = size.saturating_add(8);
        if size > LONGEST_HEADER || start > length {
            return Err(damaged(format!("a header of {size} bytes in a file of {length}")));
        }
        let mut header = vec![0; size as usize];
        (&file).read_exact(&mut header).map_err(unreadable)?;
        let (entries, end) = entries_of(&header).map_err(&damaged)?;
        if start.checked_add(end) != Some(length) {
            return Err(damaged(format!("its header says {end} bytes of elements, it has {}", length - start)));
        }
        Ok(Reader { path: path.to_path_buf(), file, start, entries, taken: RefCell::default() })
    }

    /// The array of this name. One that is asked for again shares its memory with the first.
    ///
    /// # Errors
    /// `File` if there is none, or if its dtype, its shape or its checksum is another.
    pub fn read(&self, name: &str, dtype: DType, shape: &[usize], checksum: u32) -> Result<Array> {
        let wrong = |what: String| Error::File(format!("the array {name:?} of {} {what}", self.path.display()));
        let entry = self.entries.get(name).ok_or_else(|| wrong("is missing".to_string()))?;
        let (start, end) = entry.data_offsets;
        if entry.dtype != spelled(dtype)
            || entry.shape != shape
            || byte_size(shape, dtype.size())? as u64 != end - start
        {
            let (found, sizes, bytes) = (entry.dtype.to_lowercase(), &entry.shape, end - start);
            return Err(wrong(format!(
                "is {found} of shape {sizes:?} in {bytes} bytes, not {dtype} of shape {shape:?}"
            )));
        }
        let known = self.taken.borrow().get(name).cloned();
        let (array, found) = known.map_or_else(|| self.elements(dtype, shape, start, &wrong), Ok)?;
        if found != checksum {
            return Err(wrong("is not the one that was saved: its checksum is another".to_string()));
        }
        self.taken.borrow_mut().insert(name.to_string(), (array.clone(), found));
        Ok(array)
    }

    /// The elements that begin so many bytes behind the header, and their checksum.
    fn elements(
        &self,
        dtype: DType,
        shape: &[usize],
        start: u64,
        wrong: &dyn Fn(String) -> Error,
    ) -> Result<(Array, u32)> {
        let mut array = Array::uninitialized(dtype, shape)?;
        let mut bytes = || {
            (&self.file).seek(SeekFrom::Start(self.start + start))?;
            (&self.file).read_exact(array.bytes_mut())
        };
        bytes().map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let checksum = checksum(&array);
        if dtype == DType::Bool && array.bytes().iter().any(|&byte| byte > 1) {
            return Err(wrong("has bytes that are neither false nor true".to_string()));
        }
        Ok((array, checksum))
    }

    /// Checks that every array was read.
    ///
    /// # Errors
    /// `File`, naming one that was not.
    pub fn finish(&self) -> Result<()> {
        let taken = self.taken.borrow();
        match self.entries.keys().find(|name| !taken.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(Error::File(format!(
                "{} holds an array {name:?} that the graph does not use: it belongs to another graph",
                self.path.display()
            ))),
        }
    }
}

/// The arrays of a header, and where the last one ends. They lie one behind the other, without gaps.
fn entries_of(header: &[u8]) -> std::result::Result<(BTreeMap<String, Entry>, u64), String> {
    let text = std::str::from_utf8(header).map_err(|error| error.to_string())?;
    let values: json::Object = json::from_str(text).map_err(|_| "its header is no JSON object".to_string())?;
    let mut entries = BTreeMap::new();
    for (name, value) in values.iter().filter(|(name, _)| *name != REMARKS) {
        let entry = Entry::of(value).ok_or_else(|| format!("its header does not say what {name:?} is"))?;
        entries.insert(name.clone(), entry);
    }
    let mut places: Vec<((u64, u64), &String)> =
        entries.iter().map(|(name, entry)| (entry.data_offsets, name)).collect();
    places.sort_unstable();
    let mut last = 0;
    for ((start, end), name) in places {
        if start != last || end < start {
            return Err(format!("{name:?} lies at {start} to {end}, behind {last}"));
        }
        last = end;
    }
    Ok((entries, last))
}

/// A dtype as the format spells it.
fn spelled(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "BOOL",
        DType::I8 => "I8",
        DType::U8 => "U8",
        DType::I32 => "I32",
        DType::U32 => "U32",
        DType::I64 => "I64",
        DType::U64 => "U64",
        DType::F32 => "F32",
        DType::F64 => "F64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the safetensors library for Python and Rust writes for a matrix `w` of f32 and bools `b`.
    const FOREIGN: &[u8] = b"p\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[8,11]}} \0\0\x80?\0\0\0\xc0\x01\0\x01";

    #[test]
    fn files_of_the_library_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foreign.safetensors");
        replace(&path, |to| to.write_all(FOREIGN)).unwrap();
        let reader = Reader::open(&path).unwrap();
        let w = Array::from_slice(&[1.0_f32, -2.0]).reshape(&[1, 2]).unwrap();
        let b = Array::from_slice(&[true, false, true]);
        assert_eq!(reader.read("w", DType::F32, &[1, 2], checksum(&w)).unwrap(), w);
        assert!(reader.finish().is_err());
        assert_eq!(reader.read("b", DType::Bool, &[3], checksum(&b)).unwrap(), b);
        reader.finish().unwrap();
    }

    #[test]
    fn what_is_asked_for_twice_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twice.safetensors");
        let a = Array::from_slice(&[1.0_f32, -2.0]);
        replace(&path, |to| write(to, &[("a".to_string(), a.clone())])).unwrap();
        let reader = Reader::open(&path).unwrap();
        let [first, second] = [0, 1].map(|_| reader.read("a", DType::F32, &[2], checksum(&a)).unwrap());
        assert_eq!((&first, first.bytes().as_ptr()), (&a, second.bytes().as_ptr()));
        assert!(reader.read("a", DType::F32, &[2], checksum(&a) ^ 1).is_err(), "what is shared is checked as well");
    }

    #[test]
    fn headers_that_would_not_be_read_are_not_written() {
        let arrays = ["a", "b"].map(|name| (name.to_string(), Array::from_slice(&[1_u8, 2])));
        let mut bytes = Vec::new();
        write(&mut bytes, &arrays).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let mut again = Vec::new();
        write_within(length, &mut again, &arrays).unwrap();
        assert_eq!(again, bytes);
        again.clear();
        let error = write_within(length - 1, &mut again, &arrays).unwrap_err().to_string();
        assert!(error.contains("2 arrays have a header of") && again.is_empty(), "{error}");
        // The older file stays, and nothing is left beside it.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.safetensors");
        std::fs::write(&path, "older").unwrap();
        assert!(replace(&path, |to| write_within(length - 1, to, &arrays)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"older");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let header = |places: [[u64; 2]; 2]| {
            let entry =
                |at: [u64; 2]| format!("{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[{},{}]}}", at[0], at[1]);
            entries_of(format!("{{\"a\":{},\"b\":{}}}", entry(places[0]), entry(places[1])).as_bytes())
        };
        assert_eq!(header([[0, 4], [4, 5]]).unwrap().1, 5);
        assert_eq!(header([[1, 5], [0, 1]]).unwrap().1, 5);
        for places in [[[0, 4], [3, 5]], [[0, 4], [5, 6]], [[1, 4], [4, 5]], [[0, u64::MAX], [u64::MAX, 3]]] {
            assert!(header(places).is_err(), "{places:?}");
        }
        for text in ["", "[]", "{\"a\":1}", "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}"] {
            assert!(entries_of(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(entries_of(b"{\"__metadata__\":{\"by\":\"hand\"}}").unwrap().1, 0);
    }
}
