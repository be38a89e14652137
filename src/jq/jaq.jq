# What our evaluator knows itself, as jq defines it, for the engine that it is checked against.

def del(f): delpaths([path(f)]);
def walk(f):
  def down: if type == "object" then map_values(down) elif type == "array" then map(down) else . end | f;
  down;
def _sub($re; f; $flags):
  . as $text
  | [foreach (_match($re; $flags) | .[], null) as $found ({next: 0};
      if $found == null then {next, gap: $text[.next:], last: true}
      else {next: ($found.offset + $found.length), gap: $text[.next:$found.offset],
            names: (reduce ($found.captures[] | select(.name != null)) as $group ({}; . + {($group.name): $group.string}))}
      end)]
  | .[-1].gap as $rest
  | reduce .[:-1][] as $edit ([];
      [($edit.names | f)] as $inserts
      | reduce range(0; $inserts | length; 1) as $at (.; .[$at] = (.[$at] + ($edit.gap + $inserts[$at]))))
  | if length == 0 then $text else .[] + $rest end;
