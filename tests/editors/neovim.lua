-- Lets Neovim's own client use `skep lsp` on a project and writes down what
-- it saw. Arguments by the environment: SKEP_SEEN is the file to write,
-- SKEP_SCENE what is done: `check`, or `verify` where a kernel is warm.

local function must(what, condition)
  if not vim.wait(60000, condition, 20) then
    error("never came: " .. what)
  end
end

local function ask(method, more)
  local params = { textDocument = vim.lsp.util.make_text_document_params() }
  params = vim.tbl_extend("error", params, more or {})
  for _, response in pairs(vim.lsp.buf_request_sync(0, method, params, 10000) or {}) do
    return response.result
  end
end

local function findings()
  local seen = {}
  for _, finding in ipairs(vim.diagnostic.get()) do
    table.insert(seen, {
      file = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(finding.bufnr), ":p"),
      line = finding.lnum + 1,
      column = finding.col + 1,
      severity = finding.severity,
      code = finding.code or finding.user_data.lsp.code,
      source = finding.source,
    })
  end
  return seen
end

local function at(line, character)
  return { position = { line = line, character = character } }
end

local scenes = {}

function scenes.check()
  local files = {}
  must("findings in four files", function()
    for _, finding in ipairs(findings()) do
      files[finding.file] = true
    end
    return vim.tbl_count(files) >= 4
  end)
  local seen = { findings = findings() }

  -- Line 9 is SEC("xdp"), counted from 0 it is 8.
  seen.hover = ask("textDocument/hover", at(8, 6)).contents.value
  seen.completion = #ask("textDocument/completion", at(8, 5)).items

  -- A fix of one finding, applied and saved, is one finding less.
  local before = #vim.diagnostic.get(0)
  vim.cmd([[silent %substitute/stats\.sen = 3/stats.seen = 3/]])
  vim.cmd("write")
  must("one finding less", function()
    return #vim.diagnostic.get(0) == before - 1
  end)
  return seen
end

-- The text of the first lens once it says this.
local function lens(word)
  local title
  must("a lens that says " .. word, function()
    local lenses = ask("textDocument/codeLens") or {}
    title = lenses[1] and lenses[1].command.title or ""
    return title:find(word, 1, true) ~= nil
  end)
  return title
end

function scenes.verify()
  must("the kernel's verdict", function()
    return #vim.diagnostic.get(0) == 1
  end)
  local seen = { findings = findings() }
  seen.lens_before = lens("rejected")
  local finding = vim.lsp.diagnostic.get_line_diagnostics(0, seen.findings[1].line - 1)[1]
  seen.related = #(finding.relatedInformation or {})

  -- The fix that is offered, as a user would take it.
  local fixes = ask("textDocument/codeAction", {
    range = finding.range,
    context = { diagnostics = { finding } },
  })
  seen.fix = fixes[1].title
  local client = vim.tbl_values(vim.lsp.buf_get_clients(0))[1]
  vim.lsp.util.apply_workspace_edit(fixes[1].edit, client.offset_encoding)
  vim.cmd("write")
  must("no finding", function()
    return #vim.diagnostic.get(0) == 0
  end)
  seen.lens_after = lens("accepted")
  local lines = vim.api.nvim_buf_line_count(0)
  must("hints", function()
    seen.hints = ask("textDocument/inlayHint", {
      range = { start = { line = 0, character = 0 }, ["end"] = { line = lines, character = 0 } },
    })
    return seen.hints ~= nil and #seen.hints > 0
  end)
  local line, column = unpack(vim.fn.searchpos("bpf_map_lookup_elem", "w"))
  seen.hover = ask("textDocument/hover", at(line - 1, column)).contents.value
  return seen
end

local ok, result = pcall(function()
  vim.cmd("filetype on")
  vim.cmd("luafile .nvim.lua")
  vim.cmd("edit src/count.bpf.c")
  return scenes[vim.env.SKEP_SCENE]()
end)
vim.fn.writefile({ vim.fn.json_encode(ok and result or { error = tostring(result) }) }, vim.env.SKEP_SEEN)
vim.cmd("qall!")
