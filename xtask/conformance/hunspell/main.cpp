// Spelling: a dictionary with affix rules written to files here, words checked, suggested for, stemmed, analysed and
// generated; and C++ of its own: streams, exceptions across objects, type information, static constructors, COMDATs.
#include "../common.h"
#include "hunspell.hxx"
#include "htypes.hxx"

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <typeinfo>

namespace {

const char AFFIXES[] =
    "SET UTF-8\nTRY esianrtolcdugmphbyfvkwzqxj'\nREP 4\nREP f ph\nREP ph f\nREP ie ei\nREP alot a_lot\n"
    "MAP 2\nMAP eéè\nMAP uüû\nKEEPCASE K\nNOSUGGEST N\nFORBIDDENWORD F\nCOMPOUNDFLAG C\nCOMPOUNDMIN 3\nWORDCHARS '-\n"
    "PFX A Y 1\nPFX A 0 re . ip:re\nPFX U Y 1\nPFX U 0 un . ip:un\n"
    "SFX S Y 4\nSFX S y ies [^aeiou]y is:plural\nSFX S 0 s [aeiou]y is:plural\nSFX S 0 es [sxzh] is:plural\n"
    "SFX S 0 s [^sxzhy] is:plural\n"
    "SFX D Y 4\nSFX D 0 d e is:past\nSFX D y ied [^aeiou]y is:past\nSFX D 0 ed [^ey] is:past\nSFX D 0 ed [aeiou]y is:past\n"
    "SFX G Y 2\nSFX G e ing e is:gerund\nSFX G 0 ing [^e] is:gerund\n"
    "SFX L Y 1\nSFX L 0 ly . ds:ly\n";

const char *const WORDS[] = {
    "link/ASDG po:verb", "resolve/ASDG po:verb", "load/AUSDG po:verb", "try/SDG po:verb", "box/SDG", "play/ASDG",
    "table/SC", "book/SC", "case/SC", "quick/L", "slow/L", "Paris/K", "swearword/N", "teh/F", "phase/S", "weird/L",
    "café/S", "über", "naïve/L", "object-file/S",
};

struct Registry {
    std::map<std::string, int> counts;
    Registry() { counts["constructed"] = 1; }
};

Registry registry;

struct Check {
    virtual ~Check() = default;
    virtual std::string operator()(Hunspell &, const std::string &) const = 0;
};

std::string joined(const std::vector<std::string> &words) {
    std::ostringstream out;
    for (const auto &word : words) out << '[' << word << ']';
    return out.str();
}

struct Spell : Check {
    std::string operator()(Hunspell &speller, const std::string &word) const override {
        int info = 0;
        std::string root;
        bool right = speller.spell(word, &info, &root);
        std::ostringstream out;
        out << (right ? "right" : "wrong") << ' ' << info << ' ' << root;
        return out.str();
    }
};

struct Suggest : Check {
    std::string operator()(Hunspell &speller, const std::string &word) const override {
        if (word.size() > 40) throw std::length_error("a word of " + std::to_string(word.size()) + " letters");
        return joined(speller.suggest(word));
    }
};

struct Stem : Check {
    std::string operator()(Hunspell &speller, const std::string &word) const override {
        return joined(speller.stem(word)) + ' ' + joined(speller.analyze(word));
    }
};

// A dictionary of some thousand words besides those above, so that tables fill and suggestions have work.
void write_dictionary() {
    Rng rng = {13};
    static const char *const starts[] = {"b", "br", "c", "d", "f", "gr", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "v"};
    static const char *const middles[] = {"a", "e", "i", "o", "u", "ai", "ea", "oo"};
    static const char *const ends[] = {"ck", "d", "ll", "m", "n", "nt", "r", "rd", "st", "t", "ve", "x"};
    std::ofstream affixes("words.aff"), words("words.dic");
    affixes << AFFIXES;
    words << 4000 + sizeof WORDS / sizeof *WORDS << '\n';
    for (const char *word : WORDS) words << word << '\n';
    for (int i = 0; i < 4000; i++) {
        words << starts[rng_below(&rng, 16)] << middles[rng_below(&rng, 8)] << ends[rng_below(&rng, 12)];
        if (rng_next(&rng) & 1) words << middles[rng_below(&rng, 8)] << ends[rng_below(&rng, 12)];
        words << (i % 3 ? "/SDG" : i % 2 ? "/ULS" : "") << '\n';
    }
    if (!affixes || !words) throw std::runtime_error("cannot write the dictionary");
}

void check_all(Hunspell &speller, const Check &check) {
    static const char *const samples[] = {
        "link", "links", "relinking", "unloaded", "tries", "boxes", "plaied", "played", "tablebook", "bookcase", "PARIS",
        "paris", "Paris", "swearword", "teh", "lniking", "resovle", "quikly", "wierd", "alot", "fase", "cafe", "cafés",
        "Über", "object-files", "objct-file", "xyzzy", "linkings", "1234", "",
    };
    for (const char *sample : samples) {
        std::string answer = check(speller, sample);
        std::cout << std::setw(14) << std::left << sample << answer << '\n';
        registry.counts[answer.substr(0, 5)]++;
    }
}

} // namespace

int main() {
    write_dictionary();
    Hunspell speller("words.aff", "words.dic");
    std::cout << "hunspell " << speller.get_version_cpp() << ' ' << speller.get_dict_encoding() << std::endl;
    Spell spell;
    Suggest suggest;
    Stem stem;
    for (const Check *check : {static_cast<const Check *>(&spell), static_cast<const Check *>(&suggest),
                               static_cast<const Check *>(&stem)}) {
        std::cout << typeid(*check).name() << (dynamic_cast<const Spell *>(check) ? " spells" : " does more") << '\n';
        check_all(speller, *check);
    }
    std::cout << joined(speller.generate("link", "loaded")) << joined(speller.generate("try", "boxes")) << '\n';
    speller.add("jitlinker");
    speller.add_with_affix("frobnicate", "resolve");
    std::cout << speller.spell("jitlinker") << speller.spell("frobnicating") << speller.remove("jitlinker")
              << speller.spell("jitlinker") << '\n';
    Rng rng = {99};
    size_t right = 0, suggestions = 0;
    for (int i = 0; i < 1500; i++) {
        std::string word;
        for (uint32_t length = 3 + rng_below(&rng, 5); word.size() < length;) word += static_cast<char>('a' + rng_below(&rng, 26));
        right += speller.spell(word);
        if (i % 50 == 0) suggestions += speller.suggest(word).size();
    }
    std::cout << right << " of 1500 right, " << suggestions << " suggestions\n";
    try {
        suggest(speller, std::string(50, 'x'));
    } catch (const std::logic_error &error) {
        std::cout << "caught " << error.what() << '\n';
    }
    for (const auto &[answer, count] : registry.counts) std::cout << answer << ' ' << count << '\n';
    std::remove("words.aff");
    std::remove("words.dic");
    return static_cast<int>(right % 100);
}
