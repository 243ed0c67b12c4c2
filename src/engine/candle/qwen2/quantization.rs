//! What a config.json says of weights that are integers in groups: how they lie in the files, and which there are.
//!
//! Tools spell it in many ways. What is read here is what GPTQ's and AWQ's exporters write today; what has another layout
//! is refused by its name.

use crate::case::Quantization;
use crate::engine::json_fields::{FieldError, Fields};
use crate::models::{Model, Packing};

/// Weights that are integers in groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// How they lie in the files.
    pub layout: Layout,
    /// How many bits they have, and which share a scale.
    pub packing: Packing,
    /// All zero points are the middle.
    pub symmetric: bool,
    /// Inputs may lie in another order than that of their groups.
    pub reordered: bool,
    /// Some layers are quantized in another way, or not at all: their tensors say how.
    pub mixed: bool,
}

/// How integers lie in words of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// AutoGPTQ's: words along the inputs.
    Gptq(StoredZeros),
    /// AutoAWQ's `gemm`: words along the outputs, in an order of their own.
    Awq,
}

/// How GPTQ's zero points are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredZeros {
    /// `gptq_v2`.
    AsTheyAre,
    /// Each minus one.
    MinusOne,
    /// One was subtracted from all of a word at once, as GPTQModel does: a zero point of 0 borrowed from the next.
    WordsMinusOnes,
}

/// Why quantized weights can't be run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuantizationError {
    #[error("it names no quant_method")]
    NoMethod,
    #[error("quant_method `{0}` is not supported; `gptq` and `awq` are, and unquantized weights")]
    Method(String),
    #[error("it doesn't say how many bits the weights have")]
    NoBits,
    #[error("{method} with {bits} bits is not supported; {known}")]
    Bits { method: &'static str, bits: i64, known: &'static str },
    #[error("group_size is {0}; it must be a multiple of 8, or -1 for whole rows")]
    Group(i64),
    #[error("{method} in the layout `{layout}` is not supported; {known}: export the model so")]
    Layout { method: &'static str, layout: String, known: &'static str },
    #[error("integers are packed into {0}; only int32 is supported")]
    PackedInto(String),
    #[error("{layer} has {size} {side}, not a multiple of {of}: {unit} would not be whole")]
    Uneven { layer: &'static str, size: usize, side: &'static str, of: usize, unit: &'static str },
    #[error("lm_head is quantized, and also the embedding, which is not (tie_word_embeddings): save it untied")]
    TiedHead,
}

/// `quantization_config`, as far as it matters here.
pub struct QuantizationFile {
    quant_method: Option<String>,
    bits: Option<i64>,
    group_size: Option<i64>,
    sym: Option<bool>,
    desc_act: Option<bool>,
    zero_point: Option<bool>,
    lm_head: Option<bool>,
    /// GPTQ's layout, under three names.
    checkpoint_format: Option<String>,
    format: Option<String>,
    packing_format: Option<String>,
    is_marlin_format: Option<bool>,
    /// AWQ's layout.
    version: Option<String>,
    backend: Option<String>,
    pack_dtype: Option<String>,
    /// Layers differ, in the words of four tools.
    mixed: bool,
    /// What the tool says of itself.
    quantizer: Option<String>,
}

impl QuantizationFile {
    /// The table in config.json.
    pub fn of(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            quant_method: fields.text("quant_method")?,
            bits: fields.integer("bits")?,
            group_size: fields.integer("group_size")?,
            sym: fields.truth("sym")?,
            desc_act: fields.truth("desc_act")?,
            zero_point: fields.truth("zero_point")?,
            lm_head: fields.truth("lm_head")?,
            checkpoint_format: fields.text("checkpoint_format")?,
            format: fields.text("format")?,
            packing_format: fields.text("packing_format")?,
            is_marlin_format: fields.truth("is_marlin_format")?,
            version: fields.text("version")?,
            backend: fields.text("backend")?,
            pack_dtype: fields.text("pack_dtype")?,
            mixed: is_mixed(fields)?,
            quantizer: fields.table("meta")?.and_then(|meta| meta.value("quantizer").map(ToString::to_string)),
        })
    }

    /// What it means, for a model of any shape.
    pub fn read(&self) -> Result<Grouping, QuantizationError> {
        let layout = self.layout()?;
        let packing = Packing { bits: self.bits(layout)?, group: self.group()?, head: self.lm_head.unwrap_or(false) };
        self.check_words()?;
        let symmetric = match layout {
            Layout::Awq => !self.zero_point.unwrap_or(true),
            Layout::Gptq(_) => self.sym.unwrap_or(true),
        };
        let reordered = self.desc_act.unwrap_or(false);
        Ok(Grouping { layout, packing, symmetric, reordered, mixed: self.mixed })
    }

    fn layout(&self) -> Result<Layout, QuantizationError> {
        match self.quant_method.as_deref() {
            Some("gptq") => self.gptq_layout(),
            Some("awq") => self.awq_layout(),
            // AutoRound's own export is one of the two inside.
            Some("auto-round" | "intel/auto-round") => match self.packing_format.as_deref() {
                Some("auto_round:auto_gptq") => Ok(Layout::Gptq(StoredZeros::MinusOne)),
                Some("auto_round:auto_awq") => Ok(Layout::Awq),
                other => Err(QuantizationError::Layout {
                    method: "auto-round",
                    layout: other.unwrap_or("auto_round").to_owned(),
                    known: "`auto_round:auto_gptq` and `auto_round:auto_awq` are",
                }),
            },
            Some(other) => Err(QuantizationError::Method(other.to_owned())),
            None => Err(QuantizationError::NoMethod),
        }
    }

    fn gptq_layout(&self) -> Result<Layout, QuantizationError> {
        let unknown = |layout: &str| QuantizationError::Layout {
            method: "gptq",
            layout: layout.to_owned(),
            known: "`gptq` and `gptq_v2` are",
        };
        if self.is_marlin_format == Some(true) {
            return Err(unknown("marlin"));
        }
        match self.checkpoint_format.as_deref().or(self.format.as_deref()).unwrap_or("gptq") {
            "gptq" if self.is_by_gptqmodel() => Ok(Layout::Gptq(StoredZeros::WordsMinusOnes)),
            "gptq" => Ok(Layout::Gptq(StoredZeros::MinusOne)),
            "gptq_v2" => Ok(Layout::Gptq(StoredZeros::AsTheyAre)),
            other => Err(unknown(other)),
        }
    }

    fn is_by_gptqmodel(&self) -> bool {
        self.quantizer.as_ref().is_some_and(|quantizer| quantizer.contains("gptqmodel"))
    }

    fn awq_layout(&self) -> Result<Layout, QuantizationError> {
        let unknown =
            |layout: &str| QuantizationError::Layout { method: "awq", layout: layout.to_owned(), known: "`gemm` is" };
        let named = [&self.version, &self.checkpoint_format, &self.format].into_iter().flatten();
        if let Some(other) = named.clone().find(|name| !name.eq_ignore_ascii_case("gemm")) {
            return Err(unknown(other));
        }
        match self.backend.as_deref() {
            Some("llm-awq") => Err(unknown("llm-awq")),
            _ => Ok(Layout::Awq),
        }
    }

    fn bits(&self, layout: Layout) -> Result<usize, QuantizationError> {
        match (layout, self.bits.ok_or(QuantizationError::NoBits)?) {
            (_, 4) => Ok(4),
            (Layout::Gptq(_), 8) => Ok(8),
            (Layout::Gptq(_), bits) => Err(QuantizationError::Bits { method: "gptq", bits, known: "4 and 8 are" }),
            (Layout::Awq, bits) => Err(QuantizationError::Bits { method: "awq", bits, known: "4 are" }),
        }
    }

    fn group(&self) -> Result<Option<usize>, QuantizationError> {
        match self.group_size.unwrap_or(128) {
            -1 => Ok(None),
            size if size > 0 && size % 8 == 0 => Ok(Some(size as usize)),
            size => Err(QuantizationError::Group(size)),
        }
    }

    fn check_words(&self) -> Result<(), QuantizationError> {
        match self.pack_dtype.as_deref() {
            None | Some("int32" | "torch.int32") => Ok(()),
            Some(other) => Err(QuantizationError::PackedInto(other.to_owned())),
        }
    }
}

/// An unquantized head is the rule.
fn is_mixed(fields: &Fields) -> Result<bool, FieldError> {
    let is_listed = fields.value("modules_in_block_to_quantize").is_some();
    let [dynamic, extra] = [fields.table("dynamic")?, fields.table("extra_config")?];
    let is_said = dynamic.iter().chain(&extra).any(|layers| layers.keys().next().is_some());
    let left_out = fields.texts("modules_to_not_convert")?;
    Ok(is_listed || is_said || left_out.iter().flatten().any(|name| name != "lm_head"))
}

impl Grouping {
    /// As Qwen publishes it; `None` where the weights are numbers, or GGUF's.
    pub fn published(model: &Model) -> Option<Self> {
        let layout = match model.quantization {
            Quantization::None | Quantization::Gguf => return None,
            Quantization::GptqInt4 | Quantization::GptqInt8 => Layout::Gptq(StoredZeros::MinusOne),
            Quantization::Awq => Layout::Awq,
        };
        let symmetric = layout != Layout::Awq;
        model.packing.map(|packing| Self { layout, packing, symmetric, reordered: false, mixed: false })
    }

    /// The name by which cases go.
    pub fn quantization(&self) -> Quantization {
        match (self.layout, self.packing.bits) {
            (Layout::Awq, _) => Quantization::Awq,
            (Layout::Gptq(_), 8) => Quantization::GptqInt8,
            (Layout::Gptq(_), _) => Quantization::GptqInt4,
        }
    }

    /// Words and groups of the shape's layers are whole.
    pub fn check(&self, shape: &Model) -> Result<(), QuantizationError> {
        if self.packing.head && shape.tie_word_embeddings {
            return Err(QuantizationError::TiedHead);
        }
        let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
        let (query, key) = (shape.query_values(), shape.key_values());
        let inputs = [("q_proj", hidden), ("o_proj", query), ("down_proj", inner)];
        let outputs = [("q_proj", query), ("k_proj", key), ("o_proj", hidden), ("up_proj", inner)];
        let head = self.packing.head.then_some(("lm_head", shape.vocab_size));
        for (layer, size) in inputs {
            let group = self.packing.group_of(size);
            if !size.is_multiple_of(group) {
                return Err(QuantizationError::Uneven {
                    layer,
                    size,
                    side: "inputs",
                    of: group,
                    unit: "its last group",
                });
            }
            whole_words(layer, size, "inputs")?;
        }
        outputs.into_iter().chain(head).try_for_each(|(layer, size)| whole_words(layer, size, "outputs"))
    }
}

/// Words have 4 or 8 integers.
fn whole_words(layer: &'static str, size: usize, side: &'static str) -> Result<(), QuantizationError> {
    if size.is_multiple_of(8) {
        return Ok(());
    }
    Err(QuantizationError::Uneven { layer, size, side, of: 8, unit: "its last word" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Grouping, QuantizationError> {
        QuantizationFile::of(&Fields::parse(text.as_bytes()).unwrap()).unwrap().read()
    }

    /// As Qwen publishes them.
    #[test]
    fn published_files_are_the_built_in_groupings() {
        let gptq = r#"{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": false, "sym": true,
            "exllama_config": {"version": 1}, "modules_in_block_to_quantize": null, "true_sequential": true}"#;
        let awq = r#"{"quant_method": "awq", "bits": 4, "group_size": 128, "modules_to_not_convert": null,
            "version": "gemm", "zero_point": true}"#;
        for (text, name) in [(gptq, "GPTQ-Int4"), (awq, "AWQ")] {
            let model = crate::models::find(&format!("Qwen2.5-7B-Instruct-{name}")).unwrap();
            assert_eq!(Ok(read(text).unwrap()), Grouping::published(model).ok_or(()), "{name}");
        }
        let int8 = read(&gptq.replace("4,", "8,")).unwrap();
        assert_eq!(int8.quantization(), Quantization::GptqInt8);
    }

    #[test]
    fn what_differs_is_read() {
        let v2 =
            read(r#"{"quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2"}"#).unwrap();
        assert_eq!((v2.layout, v2.packing.group, v2.packing.bits), (Layout::Gptq(StoredZeros::AsTheyAre), None, 8));
        let meta = r#"{"quant_method": "gptq", "bits": 4, "meta": {"quantizer": ["gptqmodel:7.7.0"]}}"#;
        assert_eq!(read(meta).unwrap().layout, Layout::Gptq(StoredZeros::WordsMinusOnes));
        let auto_round = r#"{"quant_method": "auto-round", "bits": 4, "packing_format": "auto_round:auto_gptq"}"#;
        assert_eq!(read(auto_round).unwrap().layout, Layout::Gptq(StoredZeros::MinusOne));
        let mixed = |rest: &str| read(&format!(r#"{{"quant_method": "awq", "bits": 4, {rest}}}"#)).unwrap().mixed;
        assert!(!mixed(r#""modules_to_not_convert": ["lm_head"]"#));
        assert!(mixed(r#""modules_to_not_convert": ["lm_head", "down_proj"]"#));
        assert!(mixed(r#""dynamic": {"-:.*k_proj": {}}"#));
    }

    #[test]
    fn what_has_another_layout_is_refused_by_name() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        let begins = [
            (r#"{"quant_method": "fp8"}"#, "quant_method `fp8` is not supported"),
            (r#"{"quant_method": "compressed-tensors"}"#, "quant_method `compressed-tensors` is not supported"),
            (r#"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#, "quant_method `bitsandbytes`"),
            (r#"{"bits": 4}"#, "it names no quant_method"),
            (r#"{"quant_method": "gptq"}"#, "it doesn't say how many bits"),
            (r#"{"quant_method": "gptq", "bits": 3}"#, "gptq with 3 bits is not supported; 4 and 8 are"),
            (r#"{"quant_method": "awq", "bits": 8}"#, "awq with 8 bits is not supported; 4 are"),
            (
                r#"{"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}"#,
                "gptq in the layout `marlin` is not",
            ),
            (r#"{"quant_method": "gptq", "bits": 4, "is_marlin_format": true}"#, "gptq in the layout `marlin` is not"),
            (
                r#"{"quant_method": "awq", "bits": 4, "version": "gemv"}"#,
                "awq in the layout `gemv` is not supported; `gemm` is",
            ),
            (r#"{"quant_method": "gptq", "bits": 4, "group_size": 0}"#, "group_size is 0"),
            (r#"{"quant_method": "gptq", "bits": 4, "pack_dtype": "int16"}"#, "integers are packed into int16"),
        ];
        for (text, begin) in begins {
            assert!(said(text).starts_with(begin), "{text}: {}", said(text));
        }
    }
}
