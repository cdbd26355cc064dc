// Which outputs match nothing that is accepted, and what is each of them compared with?

function strangers({ diff, notes, variants }) {
  const said = (sentences) => sentences?.map((sentence) => element('p', { class: 'muted' }, prose(sentence)));
  if (!variants) return [said(notes), difference(diff)];
  const all = [{ ...variants.first, diff, notes }, ...(variants.others ?? [])];
  return [
    said(together(variants)),
    all.map((one) => [element('h4', { class: 'part' }, pair(one, variants)), said(one.notes), difference(one.diff)]),
    variants.left_out > 0 && element('p', { class: 'muted' }, `… ${counted(variants.left_out, 'further kind of sample', 'further kinds of samples')} that match no variant: the replies are here, not their differences.`),
  ];

  function together({ outputs, accepted, strange, unmatched }) {
    const who = outputs === 1 ? 'the sample' : `${count(strange)} of ${counted(outputs, 'sample')}`;
    const one = strange === 1;
    const share = accepted === 1 ? `${who} ${one ? 'differs' : 'differ'} from the accepted output` : `${who} ${one ? 'matches' : 'match'} none of the ${count(accepted)} accepted variants`;
    return [share, accepted > 1 && unmatched?.length > 0 && `no sample matches ${numbers(unmatched, 'variant', 'or')}`].filter(Boolean);
  }

  function pair({ outputs: which, variant }, { outputs, accepted }) {
    const sample = which.length === outputs ? `all ${count(outputs)} samples` : `${numbers(which, 'sample', 'and')} of ${count(outputs)}`;
    return [outputs > 1 && sample, accepted > 1 && `against variant ${count(variant + 1)} of ${count(accepted)}`].filter(Boolean).join(' ');
  }

  function numbers(list, noun, last) {
    const shownNumbers = list.slice(0, 8).map((number) => count(number + 1));
    if (list.length === 1) return `${noun} ${shownNumbers[0]}`;
    const end = list.length > shownNumbers.length ? `${count(list.length - shownNumbers.length)} more` : shownNumbers.pop();
    return `${noun}s ${shownNumbers.join(', ')} ${last} ${end}`;
  }
}
