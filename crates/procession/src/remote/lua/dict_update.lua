-- Sets many values of plain keys. A: fields and values, packed. {1}; {2}: only a client can tell.
local given, n = unpacked(A[1])
local new = missing(given, n, 1, 2)
if next(new) and call('EXISTS', ODD) == 1 then
  for field in pairs(new) do
    if none(field) == 2 then return {2}, false end
  end
end
set_all(given, n, new)
return {1}
