-- What stands before the bodies that take many strings: these come as one argument, each behind its length of four
-- bytes. A server takes a million arguments at most, and as many strings as memory has.
local function unpacked(packed)
  local found, n, at = {}, 0, 1
  while at <= #packed do
    local len = struct.unpack('>I4', packed, at)
    n = n + 1
    found[n] = string.sub(packed, at + 4, at + 3 + len)
    at = at + 4 + len
  end
  return found, n
end
