-- Replaces a slice. A: from, to, the new values, packed; the version that it must have, or ''. {1}; {0}: another one.
if A[4] ~= '' and (call('HGET', META, 'version') or '0') ~= A[4] then return {0}, false end
local n = length()
local from, to = bound(A[1], n), bound(A[2], n)
local values, count = unpacked(A[3])
to = math.max(from, to)
if count == 0 and from == to then return {1}, false end
if count == to - from and count <= 16 then
  changed()
  for i = 1, count do call('LSET', VALUES, from + i - 1, values[i]) end
  return {1}
end
if count > 0 then changed() end
if to > from then cut(from, to, n) end
put(from, values, count, n - (to - from))
if count == 0 then changed() end
return {1}
