//! Quantized models whose files are broken, hostile, or of another kind than they say.

use std::fs;

use super::quantized::{plain, quantized};
use super::*;

type Tensors = HashMap<String, Tensor>;

/// What is said of a fixture whose tensors or config.json were changed.
fn complain(name: &str, change: &dyn Fn(&mut Tensors), edit: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut config = fs::read_to_string(quantized(name).join("config.json")).unwrap();
    for (from, to) in edit {
        assert!(config.contains(from), "{from}: {config}");
        config = config.replace(from, to);
    }
    fs::write(directory.path().join("config.json"), config).unwrap();
    let mut tensors = candle_core::safetensors::load(quantized(name).join("model.safetensors"), &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, directory.path().join("model.safetensors")).unwrap();
    let spec = spec(directory.path(), Dtype::F32, 8);
    let said = error(&spec, None).replace(&directory.path().display().to_string(), "DIR");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

const UP: &str = "model.layers.1.mlp.up_proj";

fn replace(part: &str, with: impl Fn(&Tensor) -> Tensor) -> impl Fn(&mut Tensors) {
    let name = format!("{UP}.{part}");
    move |tensors| {
        let tensor = with(&tensors[&name]);
        tensors.insert(name.clone(), tensor);
    }
}

fn without(part: &str) -> impl Fn(&mut Tensors) {
    let name = format!("{UP}.{part}");
    move |tensors| drop(tensors.remove(&name).unwrap())
}

fn g_idx(values: impl Fn(usize) -> i32) -> impl Fn(&mut Tensors) {
    let values: Vec<i32> = (0..128).map(values).collect();
    replace("g_idx", move |_| Tensor::from_slice(&values, 128, &Device::Cpu).unwrap())
}

#[test]
fn broken_tensors_say_what_is_broken() {
    let gptq = |change: &dyn Fn(&mut Tensors)| complain("gptq-int4-asymmetric", change, &[]);
    let said = [
        gptq(&without("qweight")),
        gptq(&without("qzeros")),
        gptq(&without("scales")),
        complain("gptq-int4-desc-act", &without("g_idx"), &[]),
        gptq(&replace("qweight", |tensor| tensor.narrow(0, 0, 8).unwrap().contiguous().unwrap())),
        gptq(&replace("qweight", |tensor| tensor.t().unwrap().contiguous().unwrap())),
        gptq(&replace("qweight", |tensor| tensor.to_dtype(candle_core::DType::F32).unwrap())),
        gptq(&replace("qzeros", |tensor| tensor.narrow(1, 0, 4).unwrap().contiguous().unwrap())),
        gptq(&replace("scales", |tensor| tensor.narrow(0, 0, 1).unwrap().contiguous().unwrap())),
        gptq(&replace("scales", |tensor| tensor.to_dtype(candle_core::DType::F64).unwrap())),
        gptq(&replace("scales", |tensor| tensor.to_dtype(candle_core::DType::I64).unwrap())),
        gptq(&g_idx(|input| input as i32 / 32)),
        gptq(&g_idx(|_| -1)),
        gptq(&g_idx(|input| i32::from(input >= 60))),
        gptq(&|tensors| {
            let ones = Tensor::ones(256, candle_core::DType::F16, &Device::Cpu).unwrap();
            tensors.insert(format!("{UP}.bias"), ones);
        }),
        gptq(&|tensors| drop(tensors.remove("model.norm.weight").unwrap())),
        complain("awq", &without("qzeros"), &[]),
        // Whose shapes say how a layer is quantized.
        complain("gptq-dynamic", &without("scales"), &[]),
        complain(
            "gptq-dynamic",
            &replace("qweight", |tensor| tensor.narrow(0, 0, 8).unwrap().contiguous().unwrap()),
            &[],
        ),
        complain(
            "gptq-dynamic",
            &replace("scales", |tensor| tensor.narrow(0, 0, 1).unwrap().contiguous().unwrap()),
            &[],
        ),
        complain("gptq-dynamic", &replace("scales", |tensor| tensor.flatten_all().unwrap()), &[]),
        complain(
            "gptq-dynamic",
            &replace("qweight", |_| Tensor::zeros((0, 256), candle_core::DType::U32, &Device::Cpu).unwrap()),
            &[],
        ),
        complain("awq", &replace("qweight", |tensor| tensor.t().unwrap().contiguous().unwrap()), &[]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// What nobody asks for may change what is computed: another model's norms, a matrix that is there twice.
#[test]
fn no_tensor_of_the_model_is_left_out() {
    let with = |fixture: &str, name: &str, value: f32| {
        let one = Tensor::full(value, 16, &Device::Cpu).unwrap();
        complain(fixture, &|tensors| drop(tensors.insert(name.to_owned(), one.clone())), &[])
    };
    let said = [
        with("gptq-int4", "model.layers.1.self_attn.q_norm.weight", 1.0),
        with("gptq-int4", &format!("{UP}.weight"), 1.0),
        with("gptq-dynamic", &format!("{UP}.weight"), 1.0),
        with("gptq-lm-head", "lm_head.weight", 1.0),
        with("gptq-int4", "model.norm.bias", 1.0),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// Zeros that some tools write, tables that older ones did, and what lies beside the model.
#[test]
fn tensors_that_change_nothing_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(quantized("gptq-int4").join("config.json"), directory.path().join("config.json")).unwrap();
    let file = quantized("gptq-int4").join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    for (name, value) in
        [("model.norm.bias", 0.0_f32), ("model.layers.0.self_attn.rotary_emb.inv_freq", 1.0), ("v_head.weight", 1.0)]
    {
        tensors.insert(name.to_owned(), Tensor::full(value, 16, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&tensors, directory.path().join("model.safetensors")).unwrap();
    let found = load(&spec(directory.path(), Dtype::F32, 8)).generate(&[1, 2], 2).unwrap();
    let expected = load(&spec(&quantized("gptq-int4"), Dtype::F32, 8)).generate(&[1, 2], 2).unwrap();
    assert_eq!(found.tokens, expected.tokens);
}

/// The tensors are as the tool wrote them; config.json says something else.
#[test]
fn a_config_that_isnt_the_files_is_said() {
    let nothing = |_: &mut Tensors| {};
    let gptq = |from: &str, to: &str| complain("gptq-int4-asymmetric", &nothing, &[(from, to)]);
    let said = [
        gptq("\"bits\": 4", "\"bits\": 8"),
        gptq("\"bits\": 4", "\"bits\": 3"),
        gptq("\"group_size\": 64", "\"group_size\": 128"),
        gptq("\"group_size\": 64", "\"group_size\": 0"),
        gptq("\"quant_method\": \"gptq\"", "\"quant_method\": \"awq\""),
        gptq("\"quant_method\": \"gptq\"", "\"quant_method\": \"fp8\""),
        gptq("\"quantization_config\"", "\"was_quantization_config\""),
        gptq("\"lm_head\": false", "\"lm_head\": true"),
        gptq("\"checkpoint_format\": \"gptq\"", "\"checkpoint_format\": \"marlin\""),
        gptq("\"pack_dtype\": \"int32\"", "\"pack_dtype\": \"int16\""),
        gptq("\"intermediate_size\": 256", "\"intermediate_size\": 200"),
        complain("awq", &nothing, &[("\"version\": \"gemm\"", "\"version\": \"gemv\"")]),
        complain("awq", &nothing, &[("\"quant_method\": \"awq\"", "\"quant_method\": \"gptq\"")]),
        complain("gptq-lm-head", &nothing, &[("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// A file that ends too early is noticed before anything of it is read.
#[test]
fn no_layer_is_left_out_and_no_order_is_guessed() {
    let shorter = [("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1")];
    let said = complain("gptq-int4", &|_| (), &shorter);
    assert!(said.ends_with("is of a layer too many: num_hidden_layers of config.json is 1"), "{said}");
    let unordered = [("\"desc_act\": true", "\"desc_act\": false")];
    let said = complain("gptq-int4-desc-act", &without("g_idx"), &unordered);
    let expected = format!("tensor {UP}.g_idx is missing, and other layers' inputs are reordered (desc_act)");
    assert!(said.ends_with(&expected), "{said}");
}

#[test]
fn a_file_that_was_cut_off_is_said() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(quantized("awq").join("config.json"), directory.path().join("config.json")).unwrap();
    let whole = fs::read(quantized("awq").join("model.safetensors")).unwrap();
    fs::write(directory.path().join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
    let spec = plain(directory.path(), DeviceKind::Cpu, Dtype::F32, 8);
    assert!(error(&spec, None).contains("is cut off: it has "), "{}", error(&spec, None));
}

/// Numbers of other weights must not go by a quantized model's name, nor the other way.
#[test]
fn a_model_is_what_its_name_says() {
    let said = |from: PathBuf, name: &str| {
        let directory = tempfile::tempdir().unwrap();
        let model = directory.path().join(name);
        fs::create_dir(&model).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(from.join(file), model.join(file)).unwrap();
        }
        let model = model.display().to_string();
        let (exit, out, err) = generate(&[&model, "--prompt-ids", "1", "--tokens", "1", "--device", "cpu"]);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        err.replace(&directory.path().display().to_string(), "DIR")
    };
    let said = [
        said(fixture("untied"), "Qwen2.5-0.5B-Instruct-GPTQ-Int4"),
        said(quantized("gptq-int4"), "Qwen2.5-0.5B-Instruct"),
        said(quantized("gptq-int4"), "mine-AWQ"),
    ];
    insta::assert_snapshot!(said.concat());
}

/// `stock` has no such layers, and says so by name.
#[test]
fn stock_refuses_them() {
    let usual = plain(&quantized("awq"), DeviceKind::Cpu, Dtype::F32, 8);
    let said = error(&ModelSpec { implementation: Implementation::Stock.into(), ..usual }, None);
    assert_eq!(said, "stock reads no awq weights; use plain");
}
