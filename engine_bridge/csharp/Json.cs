using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Diegetic.Tests
{
    /// <summary>A map of JSON that keeps its order.</summary>
    internal sealed class Fields : List<KeyValuePair<string, object>>
    {
        public object this[string name]
        {
            get
            {
                foreach (KeyValuePair<string, object> field in this)
                    if (field.Key == name)
                        return field.Value;
                return null;
            }
        }

        public T Get<T>(string name, T otherwise)
        {
            object value = this[name];
            return value == null ? otherwise : (T)value;
        }

        public List<object> List(string name)
        {
            return Get(name, new List<object>());
        }
    }

    /// <summary>Reads good JSON: Fields, List, string, bool, null, long, and double of what has a point
    /// or an exponent.</summary>
    internal sealed class Json
    {
        private readonly string _text;
        private int _at;

        private Json(string text)
        {
            _text = text;
        }

        public static object Read(string text)
        {
            return new Json(text).Value();
        }

        private object Value()
        {
            switch (Peek())
            {
                case '{':
                    return Map();
                case '[':
                    return List();
                case '"':
                    return Text();
                case 't':
                    return Word("true", true);
                case 'f':
                    return Word("false", false);
                case 'n':
                    return Word("null", null);
                default:
                    return Number();
            }
        }

        private Fields Map()
        {
            Fields fields = new Fields();
            for (_at++; Peek() != '}'; Comma())
            {
                string name = Text();
                Peek();
                _at++; // the colon
                fields.Add(new KeyValuePair<string, object>(name, Value()));
            }
            _at++;
            return fields;
        }

        private List<object> List()
        {
            List<object> values = new List<object>();
            for (_at++; Peek() != ']'; Comma())
                values.Add(Value());
            _at++;
            return values;
        }

        private string Text()
        {
            StringBuilder text = new StringBuilder();
            Peek();
            for (_at++; _text[_at] != '"'; _at++)
                text.Append(_text[_at] == '\\' ? Escaped() : _text[_at]);
            _at++;
            return text.ToString();
        }

        private char Escaped()
        {
            _at++;
            int plain = "bfnrt".IndexOf(_text[_at]);
            if (plain >= 0)
                return "\b\f\n\r\t"[plain];
            if (_text[_at] != 'u')
                return _text[_at];
            _at += 4;
            return (char)Convert.ToInt32(_text.Substring(_at - 3, 4), 16);
        }

        private object Word(string word, object value)
        {
            _at += word.Length;
            return value;
        }

        private object Number()
        {
            int from = _at;
            while (_at < _text.Length && "+-.0123456789eE".IndexOf(_text[_at]) >= 0)
                _at++;
            string number = _text.Substring(from, _at - from);
            if (number.IndexOfAny(new[] { '.', 'e', 'E' }) < 0)
                return long.Parse(number, CultureInfo.InvariantCulture);
            return double.Parse(number, CultureInfo.InvariantCulture);
        }

        private char Peek()
        {
            while (char.IsWhiteSpace(_text[_at]))
                _at++;
            return _text[_at];
        }

        private void Comma()
        {
            if (Peek() == ',')
                _at++;
        }
    }
}
