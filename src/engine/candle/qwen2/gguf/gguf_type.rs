//! The types of GGUF's tensors, by number and name.

use candle_core::quantized::GgmlDType;

/// All that ggml has had. Those without candle's type are refused by name: blocks that candle can't read, and those that only
/// hold activations (Q8_1, Q8_K).
const TYPES: &[(u32, &str, Option<GgmlDType>)] = &[
    (0, "F32", Some(GgmlDType::F32)),
    (1, "F16", Some(GgmlDType::F16)),
    (2, "Q4_0", Some(GgmlDType::Q4_0)),
    (3, "Q4_1", Some(GgmlDType::Q4_1)),
    (4, "Q4_2", None),
    (5, "Q4_3", None),
    (6, "Q5_0", Some(GgmlDType::Q5_0)),
    (7, "Q5_1", Some(GgmlDType::Q5_1)),
    (8, "Q8_0", Some(GgmlDType::Q8_0)),
    (9, "Q8_1", None),
    (10, "Q2_K", Some(GgmlDType::Q2K)),
    (11, "Q3_K", Some(GgmlDType::Q3K)),
    (12, "Q4_K", Some(GgmlDType::Q4K)),
    (13, "Q5_K", Some(GgmlDType::Q5K)),
    (14, "Q6_K", Some(GgmlDType::Q6K)),
    (15, "Q8_K", None),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(GgmlDType::BF16)),
    (31, "Q4_0_4_4", None),
    (32, "Q4_0_4_8", None),
    (33, "Q4_0_8_8", None),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (36, "IQ4_NL_4_4", None),
    (37, "IQ4_NL_4_8", None),
    (38, "IQ4_NL_8_8", None),
    (39, "MXFP4", None),
    (40, "NVFP4", None),
];

/// What is done with the type of this number, or its name.
pub fn tensor_type(number: u32) -> Result<GgmlDType, String> {
    match TYPES.iter().find(|(known, ..)| *known == number) {
        Some((_, _, Some(kind))) => Ok(*kind),
        Some((_, name, None)) => Err((*name).to_owned()),
        None => Err(format!("the unknown type {number}")),
    }
}

/// As ggml calls it.
pub fn type_name(kind: GgmlDType) -> &'static str {
    TYPES.iter().find(|(_, _, known)| *known == Some(kind)).map_or("unknown", |(_, name, _)| name)
}

/// What llama.cpp's quantizer calls its mixtures of types, by the number that it writes into `general.file_type`.
const MIXTURES: &[(u64, &str)] = &[
    (0, "f32"),
    (1, "f16"),
    (2, "q4_0"),
    (3, "q4_1"),
    (7, "q8_0"),
    (8, "q5_0"),
    (9, "q5_1"),
    (10, "q2_k"),
    (11, "q3_k_s"),
    (12, "q3_k_m"),
    (13, "q3_k_l"),
    (14, "q4_k_s"),
    (15, "q4_k_m"),
    (16, "q5_k_s"),
    (17, "q5_k_m"),
    (18, "q6_k"),
    (21, "q2_k_s"),
    (32, "bf16"),
];

/// The mixture of this number.
pub fn mixture(number: u64) -> Option<&'static str> {
    MIXTURES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}
