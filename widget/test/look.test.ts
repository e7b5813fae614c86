import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ar } from '../src/texts/ar.ts';
import { de } from '../src/texts/de.ts';
import { en } from '../src/texts/en.ts';
import { Speech, isRightToLeft } from '../src/texts/texts.ts';
import { readable } from '../src/view/theme.ts';
import { wrong } from '../src/options.ts';

const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('texts', () => {
  it('are all there in every language, with the same holes', () => {
    for (const other of [de, ar]) {
      for (const [name, text] of Object.entries(en)) {
        const said = other[name as keyof typeof en];
        assert.ok(said.trim(), name);
        assert.deepEqual(holes(said), holes(text), name);
      }
    }
  });

  it('can be the page’s own, also later, and only texts', () => {
    const speech = new Speech('de-AT', { send: 'Los', nonsense: 'x', title: 5 } as never);
    assert.equal(speech.say('send'), 'Los');
    assert.equal(speech.say('title'), de.title);
    let drawn = '';
    speech.bind(() => (drawn = speech.say('waiting_position', { position: 3 })));
    assert.equal(drawn, 'Sie sind Nummer 3 in der Warteschlange.');
    speech.change({ waiting_position: 'Platz {position}' });
    assert.equal(drawn, 'Platz 3');
  });

  it('fall back to English, and survive a locale that nobody knows', () => {
    const speech = new Speech('not a locale!', {});
    assert.equal(speech.say('send'), en.send);
    assert.ok(speech.time(0).length > 0);
    assert.ok(isRightToLeft('ar-EG') && isRightToLeft('he') && !isRightToLeft('de'));
  });

  it('name days', () => {
    const speech = new Speech('en', {});
    const noon = new Date(2026, 2, 30, 12).getTime();
    assert.equal(speech.day(noon - 3_600_000, noon), 'Today');
    // The night in which the clocks change is no day longer.
    assert.equal(speech.day(noon - 86_400_000, noon), 'Yesterday');
    assert.match(speech.day(noon - 5 * 86_400_000, noon), /2026/);
  });
});

describe('the look', () => {
  it('writes on a colour in black or white, whatever reads better', () => {
    assert.equal(readable('#1f5c4a'), '#ffffff');
    assert.equal(readable('#ffd400'), '#000000');
    assert.equal(readable('#fff'), '#000000');
    for (const other of ['red', 'rgb(0 0 0)', '#12', 'url(x)']) assert.equal(readable(other), undefined);
  });
});

describe('options', () => {
  it('say what is missing', () => {
    assert.match(wrong({}) ?? '', /app/);
    assert.match(wrong({ app: 'st-1' }) ?? '', /server/);
    assert.match(wrong({ app: 'st-1', server: 'https://x' }) ?? '', /login/);
    assert.equal(wrong({ app: 'st-1', server: 'https://x', anonymous: 'cs-1' }), undefined);
  });
});
