// What a client sent, read back in words.
#pragma once

#include <cstdint>
#include <string>

#include "diegetic/replies.hpp"

/// The fields that tell messages of a game apart.
struct Seen {
    std::string type, name, text;
    std::int64_t id = 0;
    double value = 0;

    template <typename Visitor>
    void fields(Visitor& take) {
        take.field("type", type);
        take.field("name", name, false);
        take.field("text", text, false);
        take.field("id", id, false);
        take.field("value", value, false);
    }
};

/// "parameter threat 0.5", "event shot 7", "prompt rain", "switch"; what cannot be read is "?".
inline std::string in_words(const diegetic::Bytes& message) {
    if (diegetic::detail::type_of(message) == "switch") return "switch";  // its value is a text
    diegetic::Reader reader(message.data(), message.size());
    diegetic::detail::Intake intake(reader);
    Seen seen;
    std::size_t count = 0;
    bool good = reader.map(count);
    for (std::size_t k = 0; good && k < count; ++k) good = intake.entry(seen);
    if (!good || !reader.finished() || !intake.complete()) return "?";
    std::string words = seen.type;
    for (const std::string& word : {seen.name, seen.text}) words += word.empty() ? "" : ' ' + word;
    if (seen.type == "event") words += ' ' + std::to_string(seen.id);
    if (seen.type == "parameter") words += ' ' + diegetic::shown(seen.value);
    return words;
}
