// MessagePack, as much of it as the protocol needs: a writer of the shortest forms, and a reader
// that takes every form and survives any bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

namespace diegetic {

using Bytes = std::vector<std::uint8_t>;

/// Count the characters (code points) of a text in UTF-8; -1 if it is none.
inline std::ptrdiff_t utf8_length(std::string_view text) {
    constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};  // by the number of further bytes
    std::ptrdiff_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        const auto lead = static_cast<std::uint8_t>(text[at++]);
        const std::size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || text.size() - at < more) return -1;
        std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
        for (std::size_t k = 0; k < more; ++k) {
            const auto next = static_cast<std::uint8_t>(text[at++]);
            if ((next & 0xC0) != 0x80) return -1;
            point = point << 6 | (next & 0x3FU);
        }
        const bool surrogate = point >= 0xD800 && point < 0xE000;
        if (point < least[more] || point > 0x10FFFF || surrogate) return -1;
    }
    return count;
}

/// Appends values to `out`, each in its shortest form; a float is always a float64.
class Writer {
public:
    explicit Writer(Bytes& out) : out_(out) {}

    void nil() { out_.push_back(0xC0); }
    void boolean(bool value) { out_.push_back(value ? 0xC3 : 0xC2); }

    void integer(std::uint64_t value) {
        if (value < 0x80) return byte(value);
        if (value <= 0xFF) return head(0xCC, value, 1);
        if (value <= 0xFFFF) return head(0xCD, value, 2);
        if (value <= 0xFFFFFFFF) return head(0xCE, value, 4);
        head(0xCF, value, 8);
    }

    void number(double value) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        head(0xCB, bits, 8);
    }

    void text(std::string_view value) {
        const std::uint64_t size = value.size();
        if (size < 32) byte(0xA0 | size);
        else if (size <= 0xFF) head(0xD9, size, 1);
        else sized(0xDA, size);
        out_.insert(out_.end(), value.begin(), value.end());
    }

    void binary(const std::uint8_t* data, std::size_t size) {
        if (size <= 0xFF) head(0xC4, size, 1);
        else sized(0xC5, size);
        out_.insert(out_.end(), data, data + size);
    }

    void array(std::size_t count) { count < 16 ? byte(0x90 | count) : sized(0xDC, count); }
    void map(std::size_t count) { count < 16 ? byte(0x80 | count) : sized(0xDE, count); }

private:
    void byte(std::uint64_t value) { out_.push_back(static_cast<std::uint8_t>(value)); }

    void head(std::uint8_t mark, std::uint64_t value, int bytes) {
        out_.push_back(mark);
        for (int k = bytes - 1; k >= 0; --k) byte(value >> (8 * k) & 0xFF);
    }

    /// The forms with 16 and 32 bits of size, whose marks follow each other.
    void sized(std::uint8_t mark, std::uint64_t size) {
        if (size <= 0xFFFF) head(mark, size, 2);
        else head(static_cast<std::uint8_t>(mark + 1), size, 4);
    }

    Bytes& out_;
};

/// Reads values one after the other. A read of another kind than what is there, or beyond the end,
/// returns false, and so does every one after it.
class Reader {
public:
    Reader(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

    /// True if all was read and nothing was wrong.
    bool finished() const { return good_ && at_ == end_; }

    bool boolean(bool& value) {
        Item item;
        if (!next(item) || item.kind != Kind::boolean) return fail();
        value = item.value != 0;
        return true;
    }

    /// Also takes a float that is a whole number.
    bool integer(std::int64_t& value) {
        Item item;
        if (!next(item)) return false;
        if (item.kind == Kind::number && item.number >= -9e15 && item.number <= 9e15) {
            value = static_cast<std::int64_t>(item.number);
            return static_cast<double>(value) == item.number || fail();
        }
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        const bool fits = item.kind == Kind::negative || item.value <= most;
        if ((item.kind != Kind::integer && item.kind != Kind::negative) || !fits) return fail();
        value = static_cast<std::int64_t>(item.value);
        return true;
    }

    /// Also takes an integer.
    bool number(double& value) {
        Item item;
        if (!next(item)) return false;
        if (item.kind == Kind::number) value = item.number;
        else if (item.kind == Kind::integer) value = static_cast<double>(item.value);
        else if (item.kind == Kind::negative)
            value = static_cast<double>(static_cast<std::int64_t>(item.value));
        else return fail();
        return true;
    }

    /// The text stays in the bytes that are read.
    bool text(std::string_view& value) {
        Item item;
        if (!next(item) || item.kind != Kind::text) return fail();
        value = {reinterpret_cast<const char*>(item.data), static_cast<std::size_t>(item.value)};
        return utf8_length(value) >= 0 || fail();
    }

    bool binary(Bytes& value) {
        Item item;
        if (!next(item) || item.kind != Kind::binary) return fail();
        value.assign(item.data, item.data + item.value);
        return true;
    }

    bool array(std::size_t& count) { return container(Kind::array, count); }
    bool map(std::size_t& count) { return container(Kind::map, count); }

    /// Pass over one value, whatever it is and however deep it goes.
    bool skip() {
        for (std::uint64_t left = 1; left > 0; --left) {
            Item item;
            if (!next(item)) return false;
            if (item.kind == Kind::array) left += item.value;
            if (item.kind == Kind::map) left += 2 * item.value;
        }
        return true;
    }

private:
    enum class Kind { nil, boolean, integer, negative, number, text, binary, array, map, other };

    struct Item {
        Kind kind = Kind::nil;
        std::uint64_t value = 0;  // or the bits of a negative integer, or a size, or a count
        double number = 0;
        const std::uint8_t* data = nullptr;  // of `value` bytes
    };

    bool fail() {
        good_ = false;
        return false;
    }

    bool container(Kind kind, std::size_t& count) {
        Item item;
        if (!next(item) || item.kind != kind) return fail();
        count = static_cast<std::size_t>(item.value);
        // Each entry is a byte at least: a count beyond that is a lie, and must cost no memory.
        return count <= static_cast<std::size_t>(end_ - at_) || fail();
    }

    bool big(int bytes, std::uint64_t& value) {
        if (end_ - at_ < bytes) return fail();
        value = 0;
        for (int k = 0; k < bytes; ++k) value = value << 8 | *at_++;
        return true;
    }

    bool span(Kind kind, std::uint64_t size, Item& item) {
        if (size > static_cast<std::uint64_t>(end_ - at_)) return fail();
        item.kind = kind;
        item.value = size;
        item.data = at_;
        at_ += size;
        return true;
    }

    bool span_after(int bytes, Kind kind, std::uint64_t extra, Item& item) {
        std::uint64_t size = 0;
        return big(bytes, size) && span(kind, size + extra, item);
    }

    bool signed_after(int bytes, Item& item) {
        if (!big(bytes, item.value)) return false;
        const std::uint64_t sign = std::uint64_t{1} << (8 * bytes - 1);
        item.kind = (item.value & sign) != 0 ? Kind::negative : Kind::integer;
        if (item.kind == Kind::negative) item.value |= ~(sign - 1);
        return true;
    }

    bool count_after(int bytes, Kind kind, Item& item) {
        item.kind = kind;
        return big(bytes, item.value);
    }

    bool next(Item& item) {
        if (!good_ || at_ == end_) return fail();
        const std::uint8_t mark = *at_++;
        if (mark < 0x80 || mark >= 0xE0) {
            item.kind = mark < 0x80 ? Kind::integer : Kind::negative;
            item.value = mark < 0x80 ? mark : ~std::uint64_t{0xFF} | mark;
            return true;
        }
        if (mark < 0x90 || mark < 0xA0) {
            item.kind = mark < 0x90 ? Kind::map : Kind::array;
            item.value = mark & 0x0FU;
            return true;
        }
        if (mark < 0xC0) return span(Kind::text, mark & 0x1FU, item);
        switch (mark) {
            case 0xC0: return true;
            case 0xC2:
            case 0xC3:
                item.kind = Kind::boolean;
                item.value = mark & 1U;
                return true;
            case 0xC4:
            case 0xC5:
            case 0xC6: return span_after(1 << (mark - 0xC4), Kind::binary, 0, item);
            case 0xC7:
            case 0xC8:
            case 0xC9: return span_after(1 << (mark - 0xC7), Kind::other, 1, item);
            case 0xCA: return float32(item);
            case 0xCB: return float64(item);
            case 0xCC:
            case 0xCD:
            case 0xCE:
            case 0xCF: return count_after(1 << (mark - 0xCC), Kind::integer, item);
            case 0xD0:
            case 0xD1:
            case 0xD2:
            case 0xD3: return signed_after(1 << (mark - 0xD0), item);
            case 0xD4:
            case 0xD5:
            case 0xD6:
            case 0xD7:
            case 0xD8: return span(Kind::other, (std::uint64_t{1} << (mark - 0xD4)) + 1, item);
            case 0xD9:
            case 0xDA:
            case 0xDB: return span_after(1 << (mark - 0xD9), Kind::text, 0, item);
            case 0xDC:
            case 0xDD: return count_after(mark == 0xDC ? 2 : 4, Kind::array, item);
            case 0xDE:
            case 0xDF: return count_after(mark == 0xDE ? 2 : 4, Kind::map, item);
            default: return fail();
        }
    }

    bool float32(Item& item) {
        std::uint64_t bits = 0;
        if (!big(4, bits)) return false;
        const auto narrow = static_cast<std::uint32_t>(bits);
        float value = 0;
        std::memcpy(&value, &narrow, sizeof value);
        item.kind = Kind::number;
        item.number = static_cast<double>(value);
        return true;
    }

    bool float64(Item& item) {
        std::uint64_t bits = 0;
        if (!big(8, bits)) return false;
        std::memcpy(&item.number, &bits, sizeof bits);
        item.kind = Kind::number;
        return true;
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    bool good_ = true;
};

}  // namespace diegetic
