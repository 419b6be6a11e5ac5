-- {0}: free; {1, whether by this client, thread, depth, whether the holder lives, its who, what became of it}.
local was = call('HMGET', K[1], 'holder', 'thread', 'depth', 'who', 'why')
local holder = was[1]
if not holder then return {0}, false, false end
local here = holder == me and 1 or 0
local lives = (holder == 'nobody' or alive(holder)) and 1 or 0
return {1, here, was[2] or '', tonumber(was[3] or 0), lives, was[4] or '', was[5] or ''}, false, false
