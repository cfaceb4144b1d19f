#include "dpkde/tools/build_encode.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_blobs.h"
#include "dpkde/io/file.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/index_config.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(std::string, role, "",
          "`query|document`: the two have different vectors, whose inner product estimates the Chamfer similarity.");
ABSL_FLAG(std::string, encoder, "", "`FILE` of an encoder, such as --encoder_out has written.");
ABSL_FLAG(std::string, encoder_out, "", "`FILE` to write the encoder to, so that others encode alike.");
ABSL_FLAG(std::string, output_type, "f4",
          "Values of the output, `f4|f2|i1`: f2 is half precision, i1 are integers (times the scale of the row in "
          "--scales_out).");
ABSL_FLAG(std::string, scales_out, "", "With --output_type=i1: .npy `FILE` for the scale of each row.");

namespace dpkde {
namespace {

constexpr uint64_t kMaxEncoderBytes = uint64_t{1} << 32;

// Values that are encoded at a time.
constexpr size_t kBatchValues = size_t{1} << 25;

absl::StatusOr<std::unique_ptr<const Encoder>> LoadEncoderFile(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxEncoderBytes));
  auto encoder = DeserializeEncoder(bytes);
  if (!encoder.ok()) {
    return absl::Status(encoder.status().code(), absl::StrCat(path, ": ", std::string(encoder.status().message())));
  }
  return encoder;
}

absl::StatusOr<std::unique_ptr<const Encoder>> LoadEncoderOfIndex(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const IndexDirectory directory, IndexDirectory::Open(path));
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<const Encoder> encoder, LoadEncoder(directory));
  if (encoder == nullptr) return UsageError(absl::StrCat("--index=", path, " has single vectors, and so no encoder"));
  return encoder;
}

bool LearnsFromDocuments(const proto::EncoderSpec& spec) {
  return spec.has_regression() || spec.fde().partition() != proto::FdeSpec::OBLIVIOUS;
}

absl::StatusOr<proto::EncoderSpec> ReadEncoderConfig(bool queries) {
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexConfig config, ReadIndexConfig());
  const std::string file = absl::StrCat("--config=", absl::GetFlag(FLAGS_config));
  if (config.encoder().kind_case() == proto::EncoderSpec::KIND_NOT_SET) {
    return UsageError(absl::StrCat(file, " describes no encoder: it needs fde or regression"));
  }
  if (queries && LearnsFromDocuments(config.encoder())) {
    return UsageError(absl::StrCat(file,
                                   " describes an encoder that learns from documents: encode those first, with "
                                   "--encoder_out, and queries with --encoder"));
  }
  return config.encoder();
}

// Everything that the command line says about files and choices.
absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_tokens).empty()) return UsageError("--tokens is missing");
  if (absl::GetFlag(FLAGS_lens).empty()) {
    return UsageError("--lens is missing: it says which tokens belong to one set");
  }
  if (absl::GetFlag(FLAGS_role).empty()) {
    return UsageError("--role is missing: a query and a document of the same tokens have different vectors");
  }
  DPKDE_RETURN_IF_ERROR(CheckChoice("role", absl::GetFlag(FLAGS_role), {"query", "document"}));
  const int sources = !absl::GetFlag(FLAGS_config).empty() + !absl::GetFlag(FLAGS_encoder).empty() +
                      !absl::GetFlag(FLAGS_index).empty();
  if (sources != 1) return UsageError("one of --config, --encoder and --index must be given");
  const std::string type = absl::GetFlag(FLAGS_output_type), scales = absl::GetFlag(FLAGS_scales_out);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_type", type, {"f4", "f2", "i1"}));
  if ((type == "i1") != !scales.empty()) return UsageError("--output_type=i1 and --scales_out must be given together");
  return CheckOutputs({{"output", absl::GetFlag(FLAGS_output)},
                       {"encoder_out", absl::GetFlag(FLAGS_encoder_out)},
                       {"scales_out", scales}},
                      {absl::GetFlag(FLAGS_tokens), absl::GetFlag(FLAGS_lens), absl::GetFlag(FLAGS_config),
                       absl::GetFlag(FLAGS_encoder), absl::GetFlag(FLAGS_index)});
}

// Vectors on their way to a file.
class VectorFile {
 public:
  static absl::StatusOr<VectorFile> Create(uint64_t rows, uint64_t columns) {
    VectorFile file;
    const std::string type = absl::GetFlag(FLAGS_output_type);
    file.format_ = type == "f4" ? TokenFormat::kFloat32 : type == "f2" ? TokenFormat::kFloat16 : TokenFormat::kInt8;
    DPKDE_ASSIGN_OR_RETURN(file.values_, OpenOutput(absl::GetFlag(FLAGS_output)));
    DPKDE_RETURN_IF_ERROR(file.values_->Append(type == "f4"   ? NpyHeader<float>(rows, columns)
                                               : type == "f2" ? NpyHalfHeader(rows, columns)
                                                              : NpyHeader<int8_t>(rows, columns)));
    if (file.format_ == TokenFormat::kInt8) {
      DPKDE_ASSIGN_OR_RETURN(file.scales_, OpenOutput(absl::GetFlag(FLAGS_scales_out)));
      DPKDE_RETURN_IF_ERROR(file.scales_->Append(NpyHeader<float>(rows, 1)));
    }
    return file;
  }

  absl::Status Append(MatrixView vectors) {
    std::string values;
    std::vector<float> scales;
    DPKDE_RETURN_IF_ERROR(StoreTokens(format_, vectors, &values, &scales));
    if (format_ == TokenFormat::kInt8) {
      // Stored with 128 added, and padded.
      const size_t stride = TokenStride(format_, vectors.columns);
      for (size_t i = 0; i < vectors.rows; ++i) {
        for (size_t j = 0; j < vectors.columns; ++j) {
          values[i * vectors.columns + j] = static_cast<char>(static_cast<uint8_t>(values[i * stride + j]) - 128);
        }
      }
      values.resize(vectors.rows * vectors.columns);
      DPKDE_RETURN_IF_ERROR(scales_->Append(
          absl::string_view(reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(float))));
    }
    return values_->Append(values);
  }

  absl::Status Commit() {
    if (scales_ != nullptr) DPKDE_RETURN_IF_ERROR(scales_->Commit());
    return values_->Commit();
  }

 private:
  TokenFormat format_ = TokenFormat::kFloat32;
  std::unique_ptr<AtomicFileWriter> values_, scales_;
};

absl::Status Run(const std::vector<std::string>&) {
  const auto start = std::chrono::steady_clock::now();
  DPKDE_RETURN_IF_ERROR(CheckFlags());
  const bool queries = absl::GetFlag(FLAGS_role) == "query";
  const std::string encoder_path = absl::GetFlag(FLAGS_encoder), index_path = absl::GetFlag(FLAGS_index);
  proto::EncoderSpec spec;
  std::unique_ptr<const Encoder> encoder;
  if (!absl::GetFlag(FLAGS_config).empty()) {
    DPKDE_ASSIGN_OR_RETURN(spec, ReadEncoderConfig(queries));
  } else if (!encoder_path.empty()) {
    DPKDE_ASSIGN_OR_RETURN(encoder, LoadEncoderFile(encoder_path));
  } else {
    DPKDE_ASSIGN_OR_RETURN(encoder, LoadEncoderOfIndex(index_path));
  }
  DPKDE_ASSIGN_OR_RETURN(const CorpusInput corpus, ReadCorpusInput(std::vector<double>()));
  const TokenSetsView sets = corpus.documents.view();
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  if (encoder == nullptr) {
    auto made = CreateEncoder(spec, sets, pool);
    // Without a single token it is the data that are at fault.
    if (!made.ok() && sets.token_count() > 0) {
      return WithExitCode(absl::Status(made.status().code(), absl::StrCat("--config=", absl::GetFlag(FLAGS_config),
                                                                          ": ", std::string(made.status().message()))),
                          ExitCode::kUsage);
    }
    DPKDE_ASSIGN_OR_RETURN(encoder, std::move(made));
  }
  if (sets.dimension != encoder->token_dimension()) {
    return absl::InvalidArgumentError(absl::StrCat(absl::GetFlag(FLAGS_tokens),
                                                   ": tokens must have the encoder's dimension, ",
                                                   encoder->token_dimension(), ", but have ", sets.dimension));
  }

  const size_t dimension = encoder->dimension();
  std::unique_ptr<AtomicFileWriter> encoder_writer;
  if (const std::string encoder_out = absl::GetFlag(FLAGS_encoder_out); !encoder_out.empty()) {
    DPKDE_ASSIGN_OR_RETURN(encoder_writer, OpenOutput(encoder_out));
  }
  DPKDE_ASSIGN_OR_RETURN(VectorFile file, VectorFile::Create(sets.size(), dimension));
  const size_t batch = std::max<size_t>(1, kBatchValues / dimension);
  std::vector<float> vectors(std::min(batch, sets.size()) * dimension);
  for (size_t begin = 0; begin < sets.size(); begin += batch) {
    const size_t end = std::min(begin + batch, sets.size());
    const absl::Span<float> out(vectors.data(), (end - begin) * dimension);
    DPKDE_RETURN_IF_ERROR(queries ? encoder->EncodeQueries(sets.Slice(begin, end), pool, out)
                                  : encoder->EncodeDocuments(sets.Slice(begin, end), pool, out));
    DPKDE_RETURN_IF_ERROR(file.Append({vectors.data(), end - begin, dimension}));
  }
  if (encoder_writer != nullptr) {
    const std::string bytes = encoder->Serialize();
    DPKDE_RETURN_IF_ERROR(DeserializeEncoder(bytes).status());
    DPKDE_RETURN_IF_ERROR(encoder_writer->Append(bytes));
    DPKDE_RETURN_IF_ERROR(encoder_writer->Commit());
  }
  DPKDE_RETURN_IF_ERROR(file.Commit());
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s: %d %s, %d tokens; %d coordinates; encoder %s; %.1f s\n", absl::GetFlag(FLAGS_output),
                  sets.size(), queries ? "queries" : "documents", sets.token_count(), dimension, encoder->fingerprint(),
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildEncodeSubcommand() {
  return {
      "encode",
      "Encodes sets of token vectors as one vector each, for other programs; the inner product of a query's and a "
      "document's vector estimates their Chamfer similarity.",
      "--tokens=FILE --lens=FILE --role=query|document (--config=FILE | --encoder=FILE | --index=DIR) "
      "[--encoder_out=FILE] [--output_type=f4|f2|i1 [--scales_out=FILE]] --output=FILE.npy",
      "--tokens=tokens.npy --lens=lens.txt --role=document --config=encoder.textproto --output=encoded.npy",
      {{"Required",
        {{"tokens", "`FILE` of the tokens of all sets in order, one vector a row. Public."},
         {"lens", "`FILE` of the numbers of tokens of the sets, one a row; 0: an empty set."},
         "role",
         {"output", "`FILE` in format .npy to write, one vector a set. Appears complete or not at all."}}},
       {"Encoder, one of",
        {{"config", "`FILE` with an IndexConfig in protobuf text format (proto/index.proto), whose encoder is made."},
         "encoder",
         {"index", "`DIR` that dpkde_build index made, whose encoder is taken."}}},
       {"Tokens", {"input_format", "columns", "csv_header", "list_format"}},
       {"Output", {"output_type", "scales_out", "encoder_out", "overwrite"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
