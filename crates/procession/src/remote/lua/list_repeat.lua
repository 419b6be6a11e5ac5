-- Makes the list n times as long by repetition. A: n, how long it may become. {1}; {0}: that is too long.
local n, times = length(), tonumber(A[1])
if n == 0 or times == 1 then return {1}, false end
if times <= 0 then
  call('UNLINK', VALUES)
  changed()
  return {1}
end
if n * times > tonumber(A[2]) then return {0}, false end
changed()
local all = call('LRANGE', VALUES, 0, -1)
for _ = 2, times do append(all, n) end
return {1}
