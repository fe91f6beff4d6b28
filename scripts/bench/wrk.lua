-- wrk script. Its argument is the name of a file with a Lua table, the plan: method, paths, headers,
-- bodies (file names), seed. Paths and bodies alternate in order. Each @ID@ in a body is replaced
-- with a fresh UUID.

local plan, bodies, count = nil, {}, 0

local function split(text)
  local pieces = {}
  for piece in (text .. "@ID@"):gmatch("(.-)@ID@") do
    pieces[#pieces + 1] = piece
  end
  return pieces
end

local function fresh_id()
  local r = math.random
  return string.format("%08x-%04x-4%03x-%04x-%06x%06x", r(0, 4294967295), r(0, 65535),
    r(0, 4095), r(32768, 49151), r(0, 16777215), r(0, 16777215))
end

local function join_with_ids(pieces)
  local out = {}
  for i, piece in ipairs(pieces) do
    out[#out + 1] = piece
    if i < #pieces then
      out[#out + 1] = fresh_id()
    end
  end
  return table.concat(out)
end

function init(arguments)
  plan = dofile(arguments[1])
  math.randomseed(plan.seed)
  wrk.method = plan.method
  for name, value in pairs(plan.headers) do
    wrk.headers[name] = value
  end
  for _, name in ipairs(plan.bodies) do
    local file = io.open(name, "rb")
    bodies[#bodies + 1] = split(file:read("*a"))
    file:close()
  end
end

function request()
  count = count + 1
  local body = #bodies > 0 and join_with_ids(bodies[count % #bodies + 1]) or nil
  return wrk.format(nil, plan.paths[count % #plan.paths + 1], nil, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests": %d, "seconds": %f, "p50": %f, '
    .. '"p99": %f, "refused": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
