-- One request of one caller. Times are microseconds of Redis's own clock, so that hosts need not agree on theirs.
-- KEYS[1]: the caller's. ARGV[1]: microseconds per request; ARGV[2]: burst.
-- Gives {let through, remaining, wait, reset}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local window = interval * tonumber(ARGV[2])
local forgotten = tonumber(redis.call('GET', KEYS[1]) or now)
if forgotten < now then forgotten = now end
local wait = forgotten + interval - window - now
if wait > 0 then
  return {0, 0, wait, forgotten - now}
end
forgotten = forgotten + interval
redis.call('SET', KEYS[1], string.format('%.0f', forgotten), 'PX', math.ceil((forgotten - now) / 1000))
return {1, math.floor((now + window - forgotten) / interval), 0, forgotten - now}
