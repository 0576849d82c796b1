// Text as data: vocabularies, files, catalogues of messages, and what models are given of them.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/softmax_cross_entropy.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/data/mo.hpp"
#include "runtime/data/text_file.hpp"
#include "runtime/data/vocabulary.hpp"
#include "tests/runtime/folder.hpp"

namespace soapstone::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Tokens = std::vector<std::int32_t>;

core::Graph gpt(double seq, double vocab, std::int64_t batch = 2) {
  return core::build_model("gpt", {.batch = batch,
                                   .parameters = {{"layers", 1},
                                                  {"hidden", 8},
                                                  {"heads", 1},
                                                  {"seq", seq},
                                                  {"positions", seq},
                                                  {"vocab", vocab}}})
      .value();
}

core::Graph nmt(double seq, double vocab, std::int64_t batch = 1) {
  return core::build_model("nmt", {.batch = batch,
                                   .parameters = {{"layers", 1},
                                                  {"hidden", 8},
                                                  {"embedding", 8},
                                                  {"seq", seq},
                                                  {"chunk", seq},
                                                  {"vocab", vocab}}})
      .value();
}

Tokens row(const core::Graph& graph, const DataSource& data, std::string_view name,
           std::int64_t sample) {
  for (const core::SourceSpec& s : graph.spec().sources) {
    if (s.name != name) continue;
    Tokens values(static_cast<std::size_t>(s.desc.shape[1]));
    data.fill(s, std::span(&sample, 1), {{0, 1}, {0, s.desc.shape[1]}}, values.data());
    return values;
  }
  return {};
}

TEST(Words, are_runs_of_one_kind_with_the_space_before_and_together_the_text) {
  EXPECT_THAT(words_of("The cat  sat, 12 times.\n\n  Ende"),
              ElementsAre("The", " cat", " ", " sat", ",", " 12", " times", ".", "\n\n ", " Ende"));
  EXPECT_THAT(words_of(std::string(100, '=')), testing::SizeIs(3)) << "cut at 48 bytes";
  EXPECT_THAT(words_of(""), testing::IsEmpty());
}

// Sennrich et al. 2016: low ×5, lower ×2, newest ×6, widest ×3. Here with the space before a word.
TEST(Vocabulary, merges_the_most_frequent_pair_first) {
  std::string text;
  for (const auto& [word, count] :
       {std::pair{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}})
    for (int k = 0; k < count; ++k) text += std::string(word) + "\n";
  const std::string_view texts[] = {text};
  // 2 + the 11 bytes \n d e i l n o r s t w; then es and est (9 each), lo and low (7 each).
  const Vocabulary v = Vocabulary::learn(texts, 17).value();
  ASSERT_EQ(v.size(), 17);
  const auto piece = [&](std::int32_t token) { return v.decode(std::span(&token, 1)); };
  EXPECT_EQ(piece(13), "es");
  EXPECT_EQ(piece(14), "est");
  EXPECT_EQ(piece(15), "lo");
  EXPECT_EQ(piece(16), "low");
  EXPECT_EQ(v.encode("lowest"), (Tokens{16, 14}));
  EXPECT_EQ(v.decode(v.encode("newest lower\n")), "newest\xef\xbf\xbdlower\n")
      << "no space is known";
}

TEST(Vocabulary, words_that_the_texts_do_not_have_are_merged_as_those_that_they_have) {
  std::string text;
  for (int k = 0; k < 400; ++k)
    text += "the theory of " + std::to_string(k * k) + " other things gathers their weather\n";
  const std::string_view texts[] = {text};
  const Vocabulary v = Vocabulary::learn(texts, 60).value();
  // The words of `texts` are looked up, these are not: their pieces are the same.
  for (const std::string word : {" theory", " gathers", " weather"}) {
    const Tokens known = v.encode(word);
    const Vocabulary other = Vocabulary::learn(texts, 60).value();
    EXPECT_EQ(known, other.encode(word)) << "the same text, the same vocabulary";
    const Tokens longer = v.encode(word + "qq");  // unknown bytes part nothing before them
    EXPECT_EQ(Tokens(longer.begin(), longer.begin() + static_cast<std::ptrdiff_t>(known.size())),
              known);
    EXPECT_EQ(longer.back(), Vocabulary::kUnknown);
  }
  EXPECT_EQ(v.decode(v.encode(text)), text);
  EXPECT_LT(v.encode(text).size(), text.size() / 2);
}

TEST(Vocabulary, a_size_without_room_for_every_byte_is_refused) {
  const std::string_view texts[] = {"abc", "cd"};
  const auto v = Vocabulary::learn(texts, 5);
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().message,
            "a vocabulary of 5 tokens for text of 4 different bytes; accepted: at least 6");
  EXPECT_EQ(Vocabulary::learn(texts, 1000).value().size(), 6) << "no pair comes twice";
}

TEST(UnigramEntropy, is_that_of_counts_plus_one) {
  // Counts 3 + 1, 1 + 1 and 0 + 1 of 7: -(2 ln(4/7) + ln(1/7)) / 3.
  EXPECT_NEAR(unigram_entropy(Tokens{0, 0, 0, 1}, Tokens{0, 0, 2}, 3),
              -(2 * std::log(4. / 7) + std::log(1. / 7)) / 3, 1e-12);
}

// 40 lines of 8 bytes are 40 parts, as a two-hundredth is less than a line.
std::string lines() {
  std::string text;
  for (int k = 0; k < 40; ++k) text += fmt::format("l{:06}\n", k * 7919 % 1000000);
  return text;
}

TEST(TextData, every_tenth_part_is_for_testing_and_labels_are_the_next_tokens) {
  const Folder folder;
  const auto file = folder.write("prose", lines());
  const core::Graph graph = gpt(6, 14);  // 2 + l, \n and ten digits: bytes alone
  const auto sets = open_text(graph, file);
  ASSERT_TRUE(sets) << sets.error().message;
  const Vocabulary& v = *sets->train->vocabulary();
  const auto text_of = [&](const DataSource& data) {
    Tokens all;
    for (std::int64_t i = 0; i < data.samples(); ++i) {
      const Tokens tokens = row(graph, data, "tokens", i), labels = row(graph, data, "labels", i);
      all.insert(all.end(), tokens.begin(), tokens.end());
      EXPECT_TRUE(std::equal(labels.begin(), labels.end() - 1, tokens.begin() + 1));
      if (i + 1 < data.samples()) {
        EXPECT_EQ(labels.back(), row(graph, data, "tokens", i + 1).front());
      }
    }
    EXPECT_EQ(all.front(), Vocabulary::kEnd);
    return v.decode(all);
  };
  std::string train, test;
  for (int k = 0; k < 40; ++k) (k % 10 == 9 ? test : train) += lines().substr(8 * k, 8);
  EXPECT_THAT(train, testing::StartsWith(text_of(*sets->train)));
  EXPECT_THAT(test, testing::StartsWith(text_of(*sets->test)));
  EXPECT_EQ(sets->test->samples(), (4 * 8 + 4 - 1) / 6) << "a token parts what does not follow";
  EXPECT_EQ(row(graph, *sets->train, "positions", 3), (Tokens{0, 1, 2, 3, 4, 5}));
  const auto baseline = sets->test->baseline();
  ASSERT_TRUE(baseline);
  EXPECT_DOUBLE_EQ(baseline->bytes_per_token, 32. / 36);
  EXPECT_GT(baseline->nats_per_token, 1);
  EXPECT_LT(baseline->nats_per_token, std::log(14));
}

TEST(TextData, a_part_of_a_box_has_the_values_of_the_whole) {
  const Folder folder;
  const core::Graph graph = gpt(6, 14);
  const auto sets = open_text(graph, folder.write("prose", lines())).value();
  const std::int64_t samples[] = {5, 2, 7};
  Tokens part(4);
  sets.train->fill(graph.spec().sources[0], samples, {{1, 3}, {2, 4}}, part.data());
  const Tokens a = row(graph, *sets.train, "tokens", 2), b = row(graph, *sets.train, "tokens", 7);
  EXPECT_EQ(part, (Tokens{a[2], a[3], b[2], b[3]}));
}

TEST(TextData, a_folder_is_read_with_its_gzipped_files_by_name) {
  const Folder folder;
  folder.write("b/two.rst", lines());
  folder.write_gzipped("a.txt.gz", lines());
  folder.write("c.bin", std::string(100, '\0'));
  const core::Graph graph = gpt(6, 64);
  const auto sets = open_data("text", graph, 1, folder.path());
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->train->name(), "text");
  EXPECT_EQ(sets->train->vocabulary()->decode(row(graph, *sets->train, "tokens", 0)).substr(0, 8),
            "l000000\n");
}

TEST(TextData, what_is_no_text_or_too_little_is_refused) {
  const Folder folder;
  const core::Graph graph = gpt(6, 300);
  const auto error = [&](const std::filesystem::path& path) {
    const auto sets = open_text(graph, path);
    return sets ? std::string("accepted") : sets.error().message;
  };
  EXPECT_THAT(error(folder.path() / "absent"), HasSubstr("absent: No such file"));
  EXPECT_THAT(error(folder.path()),
              HasSubstr("holds no file of data; accepted: *.txt, *.rst, *.md"));
  EXPECT_THAT(error(folder.write("binary", std::string("a\nb\0c", 5))),
              HasSubstr("binary:2: a byte 0; accepted: plain text"));
  EXPECT_THAT(error(folder.write("short", "a\nb\n")),
              HasSubstr("4 bytes of text in 2 parts, of which every tenth is for testing"));
  std::ifstream in(folder.write_gzipped("whole.gz", lines()), std::ios::binary);
  const std::string zipped((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(error(folder.write("cut.gz", zipped.substr(0, zipped.size() / 2))),
              HasSubstr("truncated"));

  const auto file = folder.write("prose", lines());
  const auto small = open_text(gpt(6, 13), file);
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().message, HasSubstr("text: a vocabulary of 13 tokens for text of 12"));
  const auto images = open_text(core::build_model("mlp").value(), file);
  ASSERT_FALSE(images);
  EXPECT_THAT(images.error().message, HasSubstr("mlp has no such source"));
  const auto translation = open_text(nmt(6, 64), file);
  ASSERT_FALSE(translation);
  EXPECT_THAT(translation.error().message, HasSubstr("nmt wants target_tokens"));
}

TEST(WordNet, glosses_are_what_stands_behind_the_bar) {
  const Folder folder;
  std::string text = "  1 a licence | of words\n";
  for (int k = 0; k < 40; ++k)
    text += fmt::format("0000{:04} 03 n 01 x 0 000 | gloss {}  \n", k, k);
  for (const char* part : {"noun", "verb", "adj", "adv"})
    folder.write(std::string("data.") + part, text);
  const core::Graph graph = gpt(6, 32);
  const auto sets = open_wordnet(graph, folder.path());
  ASSERT_TRUE(sets) << sets.error().message;
  std::string read;
  for (std::int64_t i = 0; i < 4; ++i)
    read += sets->train->vocabulary()->decode(row(graph, *sets->train, "tokens", i));
  EXPECT_THAT(read, testing::StartsWith("gloss 0\ngloss 1\ngloss 2\n"));

  folder.write("data.verb", "  1 a licence\nno bar\n");
  const auto broken = open_wordnet(graph, folder.path());
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("data.verb:2: no `| ` before a gloss"));
  EXPECT_THAT(broken.error().message, HasSubstr("wordnet-base"));
}

TEST(WordNet, the_installed_glosses_are_prose_for_a_model) {
  if (!std::filesystem::exists("/usr/share/wordnet/data.noun"))
    GTEST_SKIP() << "wordnet-base is not installed";
  const core::Graph graph = gpt(64, 512);
  const auto sets = open_wordnet(graph, "/usr/share/wordnet");
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->train->vocabulary()->size(), 512);
  EXPECT_GT(sets->train->samples(), 20000);
  EXPECT_GT(sets->test->samples(), 2000);
  const Baseline baseline = sets->test->baseline().value();
  EXPECT_GT(baseline.bytes_per_token, 2);
  EXPECT_GT(baseline.nats_per_token, 4);
  EXPECT_LT(baseline.nats_per_token, std::log(512));
}

TEST(LinuxDoc, translations_are_left_out) {
  const Folder folder;
  folder.write("a.rst", lines());
  folder.write("translations/zh_CN/b.rst", "\xe4\xb8\xad\xe6\x96\x87\n");
  EXPECT_TRUE(open_linux_doc(gpt(6, 14), folder.path())) << "no room for the bytes of Chinese";
  const auto none = open_linux_doc(gpt(6, 14), folder.path() / "translations/zh");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("linux-doc-6.1"));
}

TEST(LinuxDoc, the_installed_documentation_is_prose_for_a_model) {
  if (!std::filesystem::exists("/usr/share/doc/linux-doc-6.1/Documentation"))
    GTEST_SKIP() << "linux-doc-6.1 is not installed";
  const auto sets = open_linux_doc(gpt(64, 1024), "/usr/share/doc/linux-doc-6.1/Documentation");
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_GT(sets->train->samples(), 100000);
  EXPECT_GT(sets->test->baseline().value().bytes_per_token, 2);
}

std::string number(std::size_t value, bool big = false) {
  std::string bytes;
  for (int k = 0; k < 4; ++k) bytes += static_cast<char>(value >> (big ? 24 - 8 * k : 8 * k) & 255);
  return bytes;
}

// A catalogue as msgfmt writes it, without a hash table.
std::string catalogue(const std::vector<std::pair<std::string, std::string>>& messages,
                      bool big = false) {
  const std::size_t count = messages.size();
  std::string tables[2], strings;
  const std::size_t begin = 28 + 16 * count;
  for (int k = 0; k < 2; ++k)
    for (const auto& m : messages) {
      const std::string& s = k == 0 ? m.first : m.second;
      tables[k] += number(s.size(), big) + number(begin + strings.size(), big);
      strings += s + '\0';
    }
  return number(0x950412de, big) + number(0, big) + number(count, big) + number(28, big) +
         number(28 + 8 * count, big) + number(0, big) + number(begin, big) + tables[0] + tables[1] +
         strings;
}

const std::pair<std::string, std::string> kHeader{
    "", "Language: de\nContent-Type: text/plain; charset=UTF-8\n"};

TEST(Mo, contexts_and_plurals_are_read_in_either_byte_order) {
  for (const bool big : {false, true}) {
    const auto messages = read_mo(
        catalogue({kHeader,
                   {"MENU\4~Open", "Ö~ffnen"},
                   {std::string("%d file\0%d files", 16), std::string("%d Datei\0%d Dateien", 19)}},
                  big),
        "x.mo");
    ASSERT_TRUE(messages) << messages.error().message;
    EXPECT_THAT(*messages,
                ElementsAre(Message{"MENU", "~Open", "", {"Ö~ffnen"}},
                            Message{"", "%d file", "%d files", {"%d Datei", "%d Dateien"}}));
  }
}

TEST(Mo, damaged_catalogues_are_refused_with_name_and_offset) {
  const std::string good = catalogue({kHeader, {"a", "b"}});
  const auto error = [](const std::string& bytes) {
    const auto messages = read_mo(bytes, "x.mo");
    return messages ? std::string("accepted") : messages.error().message;
  };
  EXPECT_EQ(error(good), "accepted");
  EXPECT_THAT(error("short"), HasSubstr("x.mo: 5 bytes; a catalogue of messages (*.mo) has"));
  EXPECT_THAT(error("PK\3\4" + good.substr(4)), HasSubstr("x.mo: at offset 0: expected de 12 04"));
  EXPECT_THAT(error(good.substr(0, 4) + number(2 << 16) + good.substr(8)),
              HasSubstr("at offset 4: revision 2; accepted: major numbers 0 and 1"));
  EXPECT_THAT(error(good.substr(0, 8) + number(1000) + good.substr(12)),
              testing::AnyOf(HasSubstr("expected message"), HasSubstr("does not end there")));
  EXPECT_THAT(error(good.substr(0, 12) + number(0xfffffff0) + good.substr(16)),
              HasSubstr("expected message 1 of 2, found the end of the file"));
  EXPECT_THAT(error(good.substr(0, good.size() - 2)), HasSubstr("does not end there"));
  EXPECT_THAT(error(catalogue({{"", "charset=ISO-8859-1\n"}})),
              HasSubstr("the header has charset `ISO-8`; accepted: UTF-8"));
}

// Enough different messages that their hashes put some into either part.
std::vector<std::pair<std::string, std::string>> numerals() {
  std::vector<std::pair<std::string, std::string>> messages{kHeader};
  for (int k = 0; k < 60; ++k)
    messages.emplace_back(fmt::format("no {}", k), fmt::format("nr {}", k));
  return messages;
}

TEST(Gettext, a_sample_is_a_message_a_begun_translation_and_its_labels) {
  const Folder folder;
  auto messages = numerals();
  messages.emplace_back("MENU\4_no 5", "~nr 5");                   // the same pair again, marked
  messages.emplace_back("same", "same");                           // not translated
  messages.emplace_back("none", "");                               // not translated
  messages.emplace_back("no " + std::string(99, '1'), "nr long");  // too long
  folder.write("de/a.mo", catalogue(messages));
  const core::Graph graph = nmt(8, 24);
  const auto sets = open_data("gettext", graph, 1, folder.path());
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->train->samples() + sets->test->samples(), 60);
  EXPECT_GT(sets->test->samples(), 0);
  EXPECT_LT(sets->test->samples(), 20);
  const Vocabulary& v = *sets->train->vocabulary();
  std::set<std::string> seen;
  for (const DataSource* part : {sets->train.get(), sets->test.get()})
    for (std::int64_t i = 0; i < part->samples(); ++i) {
      const Tokens message = row(graph, *part, "tokens", i),
                   begun = row(graph, *part, "target_tokens", i),
                   labels = row(graph, *part, "labels", i);
      const std::string text = v.decode(message);
      EXPECT_TRUE(seen.insert(text).second) << text << " comes twice";
      EXPECT_EQ(message.front(), Vocabulary::kEnd) << "filled up before the words";
      EXPECT_NE(message.back(), Vocabulary::kEnd);
      const Tokens translation = v.encode("nr " + text.substr(3));
      EXPECT_EQ(begun.front(), Vocabulary::kEnd);
      for (std::size_t k = 0; k < labels.size(); ++k) {
        const std::int32_t expected = k < translation.size()    ? translation[k]
                                      : k == translation.size() ? Vocabulary::kEnd
                                                                : core::kNoLabel;
        EXPECT_EQ(labels[k], expected) << text << " at " << k;
        if (k + 1 < labels.size()) {
          EXPECT_EQ(begun[k + 1], k < translation.size() ? translation[k] : Vocabulary::kEnd);
        }
      }
    }
  EXPECT_TRUE(sets->test->baseline());
}

TEST(Gettext, models_that_do_not_translate_and_folders_without_catalogues_are_refused) {
  const Folder folder;
  const auto model = open_gettext(gpt(6, 300), folder.path());
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("gpt has no such source"));
  const auto none = open_gettext(nmt(6, 300), folder.path());
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("accepted: *.mo"));
  EXPECT_THAT(none.error().message, HasSubstr("libreoffice-l10n-de"));
  folder.write("a.mo", catalogue({kHeader, {"a long message", "eine lange Nachricht"}}));
  const auto few = open_gettext(nmt(6, 300), folder.path());
  ASSERT_FALSE(few);
  EXPECT_THAT(few.error().message, HasSubstr("gettext: 1 pairs, of which"));
}

TEST(Gettext, the_installed_messages_are_twenty_thousand_pairs) {
  const std::filesystem::path folder = "/usr/lib/libreoffice/program/resource/de";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "libreoffice-l10n-de is not installed";
  const core::Graph graph = nmt(24, 1024);
  const auto sets = open_gettext(graph, folder);
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_GT(sets->train->samples(), 12000);
  EXPECT_GT(sets->test->samples(), 1200);
  EXPECT_LT(sets->test->samples(), sets->train->samples() / 7);
}

}  // namespace
}  // namespace soapstone::runtime
