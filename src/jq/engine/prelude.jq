# Functions that are defined in jq itself. Where the evaluator knows one of them (`select`, `map`,
# `with_entries`, …) it may do better than its definition, never otherwise.

def select(f): if f then . else empty end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");
def isvalid(f): try (f | true) catch false;
def isfinite: type == "number" and (isinfinite | not);
def finites: select(isfinite);
def normals: select(isnormal);

def map(f): [.[] | f];
def map_values(f): .[] |= f;
def with_entries(f): to_entries | map(f) | from_entries;
def recurse(f): def walk_down: ., (f | walk_down); walk_down;
def recurse(f; cond): def walk_down: ., (f | select(cond) | walk_down); walk_down;
def add(f): reduce f as $item (null; . + $item);

def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; f): if $n < 0 then error("nth doesn't support negative indices") else first(skip($n; f)) end;

def range($upto): range(0; $upto; 1);
def range($from; $upto): range($from; $upto; 1);
def while(cond; update): def turn: if cond then ., (update | turn) else empty end; turn;
def until(cond; update): def turn: if cond then . else update | turn end; turn;
def repeat(f): def turn: f, turn; turn;

def any: any(.[]; .);
def any(cond): any(.[]; cond);
def all: all(.[]; .);
def all(cond): all(.[]; cond);
def in($within): . as $key | $within | has($key);
def inside($within): . as $part | $within | contains($part);
def IN(source): any(source == .; .);
def IN(source; s): any(source == s; .);
def INDEX(source; key): reduce source as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def JOIN($index; key): [.[] | [., $index[key]]];
def JOIN($index; source; key): source | [., $index[key]];
def JOIN($index; source; key; joined): source | [., $index[key]] | joined;

def sort_by(f): _sort_by(map([f]));
def group_by(f): _group_by(map([f]));
def unique_by(f): _unique_by(map([f]));
def min_by(f): _min_by(map([f]));
def max_by(f): _max_by(map([f]));

def paths: path(..) | select(length > 0);
def paths(cond): path(.. | select(cond)) | select(length > 0);
def leaf_paths: paths(scalars);
def pick(f): . as $whole | reduce path(f) as $path (null; setpath($path; $whole | getpath($path)));
def tostream:
  path(def leaves_first: (.[]? | leaves_first), .; leaves_first) as $path
  | getpath($path)
  | reduce path(.[]?) as $below ([$path, .]; [$path + $below]);
def fromstream(f):
  foreach f as $event ({whole: null, is_whole: false};
    (if .is_whole then {whole: null, is_whole: false} else . end)
    | if $event | length == 2
      then setpath(["is_whole"]; $event[0] | length == 0) | setpath(["whole"] + $event[0]; $event[1])
      else setpath(["is_whole"]; $event[0] | length == 1) end;
    if .is_whole then .whole else empty end);
def truncate_stream(f):
  . as $depth | null | f | . as $event
  | if (.[0] | length) > $depth then setpath([0]; $event[0][$depth:]) else empty end;
def combinations:
  if length == 0 then [] else .[0][] as $head | (.[1:] | combinations) as $tail | [$head] + $tail end;
def combinations(n): . as $choices | [range(n) | $choices] | combinations;

def match($re; $flags): _match($re; $flags) | .[];
def match($val):
  ($val | type) as $kind
  | if $kind == "string" then match($val; null)
    elif $kind == "array" and ($val | length) > 1 then match($val[0]; $val[1])
    elif $kind == "array" and ($val | length) > 0 then match($val[0]; null)
    else error($kind + " not a string or array") end;
def capture($re; $flags): _capture($re; $flags) | .[];
def capture($val):
  ($val | type) as $kind
  | if $kind == "string" then capture($val; null)
    elif $kind == "array" and ($val | length) > 1 then capture($val[0]; $val[1])
    elif $kind == "array" and ($val | length) > 0 then capture($val[0]; null)
    else error($kind + " not a string or array") end;
def scan($re; $flags): _scan($re; $flags) | .[];
def scan($re): scan($re; null);
def splits($re; $flags):
  . as $text
  | foreach (_match($re; ($flags // "") + "g") | .[], null) as $found ({next: 0};
      if $found == null then {piece: $text[.next:]}
      else {piece: $text[.next:$found.offset], next: ($found.offset + $found.length)} end;
      .piece);
def splits($re): splits($re; null);
def split($re; $flags): [splits($re; $flags)];
def sub($re; f; $flags): _sub($re; f; $flags);
def sub($re; f): _sub($re; f; "");
def gsub($re; f; $flags): _sub($re; f; $flags + "g");
def gsub($re; f): _sub($re; f; "g");

def ascii: [.] | implode;
def dateadd($unit; $n): . + $n;
def datesub($unit; $n): . - $n;
def debug(f): (f | debug | empty), .;
